"""``/webhooks/<provider>/<account>``: where the platforms call us."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, request
from flask.blueprints import BlueprintSetupState
from werkzeug.exceptions import RequestEntityTooLarge

from growth_engine.channels.protocol.documents import MOST_BYTES
from growth_engine.inbox.contract import Request
from growth_engine.inbox.reception import Desk
from growth_engine.kit import web
from growth_engine.web.side_door import ERROR, SideDoor

bp = Blueprint("webhooks", __name__)

_DESK = f"{web.EXTENSION}.inbox"


@bp.record_once
def _set_up(state: BlueprintSetupState) -> None:
    app = state.app
    assert isinstance(app, Flask)
    parts = app.extensions[web.EXTENSION]
    desk = Desk(parts)
    app.extensions[_DESK] = desk
    parts.close_hooks.append(desk.close)
    app.wsgi_app = SideDoor(parts, desk, app.wsgi_app, MOST_BYTES)  # type: ignore[method-assign]


@bp.route("/webhooks/<provider>/<account_id>", methods=["GET", "POST"])
def receive(provider: str, account_id: str) -> Response:
    """Signed by the platform, or refused: no session, no cookie, no CSRF token (``web/guard.py``).

    Most come by the side door (``web/side_door.py``); here are the rest, and the errors of all.
    """
    if isinstance(error := request.environ.get(ERROR), Exception):
        raise error
    desk: Desk = current_app.extensions[_DESK]
    # More than any platform sends is not even read to its end.
    request.max_content_length = MOST_BYTES
    try:
        body, cut_off = request.get_data(cache=False), False
    except RequestEntityTooLarge:
        body, cut_off = b"", True
    reply = desk.receive(provider, account_id, _request(body), cut_off=cut_off)
    response = Response(reply.body, reply.status, content_type=reply.content_type)
    response.headers["Cache-Control"] = "no-store"
    return response


def _request(body: bytes) -> Request:
    return Request(
        method="POST" if request.method == "POST" else "GET",
        query=request.args.to_dict(),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=body,
        received_at=web.parts().clock.now(),
    )

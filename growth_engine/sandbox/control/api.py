"""The control plane's JSON: what tests and the phone page ask and tell the sandbox."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, request

from growth_engine.sandbox import envelope, faults, people, seed
from growth_engine.sandbox.control import actions, configure, pages, phone, staff
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.oa import callbacks as oa_callbacks
from growth_engine.sandbox.oa import jssdk, media
from growth_engine.sandbox.oa.actions import CannotDo
from growth_engine.sandbox.pay.service import PayRefused
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import callbacks as wecom_callbacks
from growth_engine.sandbox.world import DEFAULT_OPTIONS, World

_LONGEST_WAIT = 25.0


def mount(app: Flask, world: World) -> None:
    """Add ``/_sandbox/…`` to a listener."""
    plane = Blueprint("sandbox", __name__, url_prefix="/_sandbox")
    for part in (_about, _time, _troubles, _accounts, _persons, _helpers):
        part(plane, world)
    pages.add(plane, world)
    plane.before_request(_same_origin)
    plane.register_error_handler(ValueError, _told(400))
    plane.register_error_handler(CannotDo, _told(409))
    plane.register_error_handler(Refused, _told(409))
    plane.register_error_handler(PayRefused, _told(409))
    plane.register_error_handler(people.NoSuchPerson, _told(404))
    app.register_blueprint(plane)
    pages.add_to_root(app)


def answer(doc: Any, status: int = 200) -> Response:
    return Response(json.dumps(doc, ensure_ascii=False), status, mimetype="application/json")


def _told(status: int) -> Callable[[Exception], Response]:
    return lambda error: answer({"error": str(error) or type(error).__name__}, status)


def _same_origin() -> Response | None:
    """Another site's page must not play with the sandbox of whoever opens it."""
    origin = request.headers.get("Origin")
    if request.method != "GET" and origin and urlsplit(origin).hostname != urlsplit(request.url).hostname:
        return answer({"error": f"not from {origin}"}, 403)
    return None


def _given() -> Doc:
    found = request.get_json(silent=True) if request.get_data() else {}
    if isinstance(found, dict):
        return found
    raise ValueError("send a JSON object (Content-Type: application/json)")


def _about(plane: Blueprint, world: World) -> None:
    @plane.get("/state")
    def state() -> Response:
        return answer(phone.overview(world))

    @plane.get("/credentials")
    def credentials() -> Response:
        return answer(seed.credentials(world))

    @plane.get("/log")
    def log() -> Response:
        since, limit = request.args.get("since", 0, int), request.args.get("limit", 200, int)
        return answer(world.store.notes(since=since, service=request.args.get("service"), limit=limit))

    @plane.post("/reset")
    def reset() -> Response:
        configure.reset(world)
        return answer({})


def _time(plane: Blueprint, world: World) -> None:
    def told() -> Response:
        waiting = world.store.timers()
        return answer(
            {
                "now": world.clock.time(),
                "frozen": world.clock.frozen,
                "waiting": [{"at": one.at, "kind": one.kind} for one in waiting],
            }
        )

    @plane.get("/clock")
    def clock() -> Response:
        return told()

    @plane.post("/clock/advance")
    def advance() -> Response:
        seconds = _given().get("seconds")
        if not isinstance(seconds, int | float) or seconds < 0:
            raise ValueError("seconds must be a number, not below 0")
        world.runner.advance(float(seconds))
        return told()

    @plane.post("/settle")
    def settle() -> Response:
        return answer({"settled": world.runner.settle(float(_given().get("seconds", 30)))})


def _troubles(plane: Blueprint, world: World) -> None:
    @plane.get("/faults")
    def planned() -> Response:
        return answer(faults.planned(world))

    @plane.post("/faults")
    def plan() -> Response:
        return answer(faults.plan(world, _given()), 201)

    @plane.delete("/faults")
    def clear() -> Response:
        faults.clear(world)
        return answer({})

    @plane.get("/options")
    def options() -> Response:
        return answer({name: world.option(name) for name in DEFAULT_OPTIONS})

    @plane.post("/options")
    def set_options() -> Response:
        return answer(world.set_options(**_given()))


def _accounts(plane: Blueprint, world: World) -> None:
    @plane.post("/oa/<appid>")
    def official_account(appid: str) -> Response:
        return answer(_public(configure.official_account(world, appid, _given())))

    @plane.post("/oa/<appid>/push")
    def push(appid: str) -> Response:
        """Send any message or event (``content``) of a ``person``: also kinds the phone cannot make."""
        given = _given()
        with world.open():
            openid = people.openid(world, appid, people.person(world, str(given.get("person")))["id"])
            oa_callbacks.push(world, appid, openid, _content(given, "MsgType"))
        return answer({"openid": openid})

    @plane.post("/wecom/<corpid>/push")
    def push_event(corpid: str) -> Response:
        """Send any event: ``content`` with Event and ChangeType."""
        content = _content(_given(), "Event", "ChangeType")
        event, change = str(content.pop("Event")), str(content.pop("ChangeType"))
        with world.open():
            wecom_callbacks.push(world, corpid, event, change, content)
        return answer({})

    @plane.post("/wecom/<corpid>")
    def corporation(corpid: str) -> Response:
        return answer(_public(configure.corporation(world, corpid, _given())))

    @plane.post("/pay/<mchid>")
    def merchant(mchid: str) -> Response:
        return answer(_public(configure.merchant(world, mchid, _given())))

    @plane.post("/employee/<userid>/<action>")
    def employee(userid: str, action: str) -> Response:
        return answer(staff.do(world, userid, action, _given()))


def _content(given: Doc, *needed: str) -> Doc:
    content = given.get("content")
    if isinstance(content, dict) and content.keys() >= set(needed):
        return dict(content)
    raise ValueError(f"content needs {' and '.join(needed)}")


def _public(account: Doc) -> Doc:
    return {name: value for name, value in account.items() if "private" not in name}


def _persons(plane: Blueprint, world: World) -> None:
    @plane.post("/people")
    def make() -> Response:
        given = _given()
        nickname = str(given.pop("nickname", "")).strip()
        if not 1 <= len(nickname) <= 32:
            raise ValueError("a nickname has 1 to 32 characters")
        with world.open():
            return answer(people.make(world, nickname, **given), 201)

    @plane.post("/people/<person_id>")
    def change(person_id: str) -> Response:
        with world.open():
            return answer(people.change(world, person_id, **_given()))

    @plane.post("/people/<person_id>/do/<action>")
    def do(person_id: str, action: str) -> Response:
        given = _given()
        wait = bool(given.pop("wait", False))
        done = actions.do(world, person_id, action, given)
        if wait:
            world.runner.settle()
        return answer(done)

    @plane.get("/people/<person_id>/phone")
    def shown(person_id: str) -> Response:
        """Everything on the phone; with ``since`` it waits until there is something newer."""
        since = request.args.get("since", -1, int)
        version = world.store.version
        # A number ahead of ours is from before a restart: everything is news then.
        if since == version and not world.stopping.is_set():
            seconds = min(request.args.get("wait", 0.0, float), _LONGEST_WAIT)
            version = world.store.wait_for_change(since, seconds)
        with world.open():
            return answer({"version": version, **phone.shown(world, person_id)})


def _helpers(plane: Blueprint, world: World) -> None:
    @plane.post("/scan")
    def scan() -> Response:
        file = request.files.get("picture")
        if file is None:
            raise ValueError("send the picture as a file named picture")
        return answer({"texts": phone.texts_on(file.stream.read())})

    @plane.get("/js-signature")
    def js_signature() -> Response:
        """What a page at ``url`` should have signed, for comparing."""
        args = request.args
        with world.open():
            ticket = jssdk.current(world, "oa", f"{args['appid']}/jsapi")["ticket"]
        made = jssdk.signature(ticket, args["noncestr"], args["timestamp"], args["url"])
        return answer({"signature": made})

    @plane.post("/envelope/seal")
    def seal() -> Response:
        """Our AES envelope over a given text, for comparing two implementations."""
        given = _given()
        random = hashlib.sha256(str(given.get("random", "")).encode()).hexdigest()[:16].encode()
        sealed = envelope.seal(given["encoding_aes_key"], given["message"], given["receive_id"], random)
        return answer({"encrypt": sealed})

    @plane.get("/media/<media_id>")
    def picture(media_id: str) -> Response:
        if world.store.get("media", media_id) is None:
            return answer({"error": "no such file"}, 404)
        response = media.file_response(world, media_id)
        response.headers["Cache-Control"] = "private, max-age=86400"
        return response

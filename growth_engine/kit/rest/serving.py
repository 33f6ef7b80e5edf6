"""How every endpoint is served: let the caller in, read strictly, do it once, answer."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import structlog
from flask import Response, g, request
from marshmallow import Schema, ValidationError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from werkzeug.exceptions import UnsupportedMediaType

from growth_engine.kit import idempotency, web
from growth_engine.kit.errors import Invalid, TooMany, Unauthorized
from growth_engine.kit.i18n import N_, translate
from growth_engine.kit.idempotency import Claim, StoredAnswer
from growth_engine.kit.ratelimit import RateLimiter, Standing
from growth_engine.kit.rest.operation import Operation

if TYPE_CHECKING:
    from growth_engine.context import Actor, Parts

log = structlog.get_logger(__name__)

IDEMPOTENCY_HEADER = "Idempotency-Key"
#: Brackets of a JSON body may be nested so deep; what we take needs five.
DEEPEST = 32
GATE = "api.gate"


class TokenMissing(Unauthorized):
    code = "token_missing"
    message = N_("Send an API token: Authorization: Bearer ge_…")


class RateExceeded(TooMany):
    code = "rate_limit_exceeded"
    message = N_("This token has made %(limit)s requests in this minute. Please wait %(seconds)s seconds.")


@dataclass(frozen=True, slots=True)
class Gate:
    """Who lets callers in; access stands above this room, so the composition root hands it down."""

    authenticate: Callable[[Parts, str], tuple[str, Actor]]
    require_scope: Callable[[Actor, str], None]
    limiter: RateLimiter


def serving(view: Callable[..., Any], said: Operation) -> Callable[..., Response]:
    """The function Flask calls for an endpoint."""

    @functools.wraps(view)
    def serve(**given: Any) -> Response:
        _admit(said.scope)
        document: Any = None
        if said.query is not None:
            given["query"] = _load(said.query, request.args.to_dict())
        if said.body is not None:
            document = _read_json(said)
            given["body"] = _load(said.body, document)
        key = None if request.method in web.SAFE_METHODS else request.headers.get(IDEMPOTENCY_HEADER)
        if key is not None:
            return _once(view, said, given, document, idempotency.checked_key(key))
        return _response(_answer(view, said, given), said.mimetype)

    return serve


def event_key(*names: str) -> str:
    """A key for what a view hands to the books: the same for every try under one Idempotency-Key."""
    key = g.get("idempotency_key")
    if key is None:
        return web.parts().ids.new("req")
    return ":".join([g.actor.id, *names, key])


def not_final() -> None:
    """The answer of this request is not the last word: the same Idempotency-Key may ask again."""
    g.not_final = True


# -- letting in --------------------------------------------------------------------------------------


def _admit(scope: str) -> None:
    gate: Gate = web.kept(GATE)
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer":
        raise TokenMissing
    parts = web.parts()
    workspace_id, actor = gate.authenticate(parts, token.strip())
    g.rate = standing = gate.limiter.count(actor.id, parts.clock.now().timestamp())
    if standing.exceeded:
        seconds = standing.reset_seconds
        raise RateExceeded(
            params={"limit": standing.limit, "seconds": seconds}, extra={"retry_after": seconds}
        )
    gate.require_scope(actor, scope)
    web.act_as(workspace_id, actor)


# -- reading -----------------------------------------------------------------------------------------


def _read_json(said: Operation) -> Any:
    """The JSON body; 415 for another kind of content, 400 for what is no JSON or nested too deep."""
    body = request.get_data()
    if not body and not said.body_needed:
        return {}
    if request.mimetype != "application/json":
        raise UnsupportedMediaType
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise web.BadRequest(
            N_("The body is not valid JSON: %(why)s"), code="broken_json", params={"why": str(error)}
        ) from None
    # Counting brackets is cheap, and few of them cannot be nested deep.
    if body.count(b"[") + body.count(b"{") > DEEPEST and _depth(document) > DEEPEST:
        raise web.BadRequest(N_("The body is nested too deep."), code="too_deep")
    return document


def _depth(document: Any) -> int:
    depth, level = 0, [document]
    while level:
        depth += 1
        level = [inner for outer in level for inner in _inside(outer)]
    return depth


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _load(schema: Schema, document: Any) -> Any:
    try:
        return schema.load(document)
    except ValidationError as error:
        raise Invalid(fields=flat(error.messages)) from None


def flat(errors: Any, path: str = "") -> dict[str, list[str]]:
    """Nested messages by field path, translated: ``{"contact.phone": ["…"]}``."""
    if not isinstance(errors, Mapping):
        messages = errors if isinstance(errors, list) else [errors]
        return {path or "body": [translate(str(message)) for message in messages]}
    found: dict[str, list[str]] = {}
    for name, inner in errors.items():
        below = path if name == "_schema" else f"{path}.{name}" if path else str(name)
        for where, messages in flat(inner, below).items():
            found.setdefault(where, []).extend(messages)
    return found


# -- answering ---------------------------------------------------------------------------------------


def _answer(
    view: Callable[..., Any], said: Operation, given: Mapping[str, Any], claim: Claim | None = None
) -> StoredAnswer:
    """Call the view; with a claim the answer is kept in the transaction of the write itself."""
    try:
        if said.transaction:
            with web.ctx() as ctx:
                answer = _rendered(said, view(ctx, **given))
                if claim:
                    _keep(claim, ctx.session, answer)
        else:
            answer = _rendered(said, view(**given))
            if claim:
                with web.ctx() as ctx:
                    _keep(claim, ctx.session, answer)
    except Invalid as error:
        if "errors" in error.extra:
            error.extra["errors"] = flat(error.extra["errors"])
        raise
    return answer


def _keep(claim: Claim, session: Session, answer: StoredAnswer) -> None:
    if g.pop("not_final", False):
        claim.release(session)
    else:
        claim.fulfil(session, answer)


def _rendered(said: Operation, answer: Any) -> StoredAnswer:
    status = said.success
    if isinstance(answer, tuple):
        answer, status = answer
    schema, _ = said.answers[status]
    if said.mimetype is not None:
        return StoredAnswer(status, str(answer).encode())
    if schema is None:
        return StoredAnswer(status, b"")
    plain = answer if said.as_is else schema.dump(answer)
    return StoredAnswer(status, orjson.dumps(plain, option=orjson.OPT_UTC_Z))


def _response(answer: StoredAnswer, mimetype: str | None = None) -> Response:
    kind = (mimetype or "application/json") if answer.status < 400 else "application/problem+json"
    response = Response(answer.body, answer.status, mimetype=kind)
    if not answer.body:
        del response.headers["Content-Type"]
    return response


def _once(
    view: Callable[..., Any], said: Operation, given: Mapping[str, Any], document: Any, key: str
) -> Response:
    """Carry out a request with an Idempotency-Key, unless it was carried out before."""
    payload = orjson.dumps([document, sorted(request.args.items(multi=True))], option=orjson.OPT_SORT_KEYS)
    claimed = idempotency.claim(
        web.parts(),
        g.workspace_id,
        f"{g.actor.id} {request.method} {request.path}",
        key,
        hashlib.sha256(payload).digest(),
    )
    if isinstance(claimed, StoredAnswer):
        response = _response(claimed)
        response.headers["Idempotent-Replayed"] = "true"
        return response
    g.idempotency_key = key
    g.claim = claimed
    answer = _answer(view, said, given, claimed)
    g.claim = None
    return _response(answer)


def finish(response: Response) -> Response:
    """After every request of the API: how much is left of the rate, and what became of a claimed key."""
    claim: Claim | None = g.pop("claim", None)
    if claim is not None:
        _settle(claim, response)
    rate: Standing | None = g.get("rate")
    if rate is not None:
        response.headers["RateLimit-Limit"] = str(rate.limit)
        response.headers["RateLimit-Remaining"] = str(rate.remaining)
        response.headers["RateLimit-Reset"] = str(rate.reset_seconds)
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="api"'
    return response


def _settle(claim: Claim, response: Response) -> None:
    """A request that was refused keeps its refusal; one that failed on our side may be tried again."""
    try:
        with web.ctx() as ctx:
            if response.status_code < 500:
                claim.keep_refusal(ctx.session, StoredAnswer(response.status_code, response.get_data()))
            else:
                claim.release(ctx.session)
    except SQLAlchemyError as error:
        # The database is away; the lease ends by itself.
        log.warning("idempotency.not_settled", error=type(error).__name__)

"""The API as a whole: blueprints of the slices, and the OpenAPI document made from what endpoints say."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from http import HTTPStatus
from types import ModuleType
from typing import TYPE_CHECKING, Any

import flask_smorest
import orjson
from apispec.ext.marshmallow import MarshmallowPlugin, resolver
from flask import Flask, Response
from flask_smorest.utils import prepare_response
from werkzeug.routing import BaseConverter

from growth_engine.kit import web
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.ratelimit import RateLimiter
from growth_engine.kit.rest import operation, serving
from growth_engine.kit.rest.operation import Operation, Problem, View

if TYPE_CHECKING:
    from growth_engine.context import Actor, Parts

PREFIX = "/api/v1"
VERSION = "1.0"
DESCRIPTION = "api.description"
#: What every endpoint may answer: bad token, missing scope, too many requests.
_ALWAYS = (401, 403, 429)
_WITH_BODY = (400, 413, 415, 422)
_PARAMETER = re.compile(r"<(?:\w+(?:\([^)]*\))?:)?(\w+)>")

_KEY_PARAMETER = {
    "in": "header",
    "name": serving.IDEMPOTENCY_HEADER,
    "required": False,
    "description": "Any text of yours, up to 200 visible ASCII characters. The same key with the same body is"
    " carried out once and answered again; with another body it is refused (422).",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
}


class Reference(BaseConverter):
    """Names a person in a path: an id or any identity, slashes included."""

    part_isolating = False
    regex = ".+?"


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """Endpoints of one kind of thing, all under ``/api/v1``."""

    def __init__(self, tag: str, import_name: str, *, description: str = "") -> None:
        super().__init__(
            import_name.replace(".", "-"), import_name, url_prefix=PREFIX, description=description
        )
        self.tag = tag
        self.after_request(serving.finish)

    def get(self, rule: str, **options: Any) -> Callable[[View], View]:
        return self._at("GET", rule, options)

    def post(self, rule: str, **options: Any) -> Callable[[View], View]:
        return self._at("POST", rule, options)

    def put(self, rule: str, **options: Any) -> Callable[[View], View]:
        return self._at("PUT", rule, options)

    def patch(self, rule: str, **options: Any) -> Callable[[View], View]:
        return self._at("PATCH", rule, options)

    def delete(self, rule: str, **options: Any) -> Callable[[View], View]:
        return self._at("DELETE", rule, options)

    def _at(self, method: str, rule: str, options: dict[str, Any]) -> Callable[[View], View]:
        def register(view: View) -> View:
            self.add_url_rule(rule, None, view, methods=[method], **options)
            return view

        return register

    def add_url_rule(
        self, rule: str, endpoint: str | None = None, view_func: Any = None, *args: Any, **options: Any
    ) -> None:
        """Serve a view as its decorators say; one that names no scope or no answer stops the boot."""
        said = operation.said(view_func)
        name = endpoint or view_func.__name__
        if not said.scope or not said.answers:
            raise Misconfigured(f"The API endpoint {view_func.__module__}.{name} lacks @scope or @answers.")
        served: Any = serving.serving(view_func, said)
        served.operation = said
        served._apidoc = _documented(name, rule, said, options.get("methods", ["GET"]))
        super().add_url_rule(rule, name, served, *args, tags=[self.tag], **_without(options, "tags"))


class Api(flask_smorest.Api):  # type: ignore[misc]
    """flask-smorest without its error pages: errors are rendered in one place (``web/errors.py``)."""

    ERROR_SCHEMA = Problem
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        pass

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            if status >= 400:
                response: dict[str, Any] = {"description": status.phrase, "schema": Problem}
                prepare_response(response, self.spec, "application/problem+json")
                self.spec.components.response(status.name, response, lazy=True)

    def _register_etag_headers(self) -> None:
        pass

    def _register_pagination_header(self) -> None:
        pass

    def add(self, blueprint: Blueprint) -> None:
        """Serve and document a blueprint."""
        self._app.register_blueprint(blueprint)
        blueprint.register_views_in_doc(self, self._app, self.spec, name=blueprint.name, parameters=None)
        if blueprint.description:
            self.spec.tag({"name": blueprint.tag, "description": blueprint.description})


def install(
    app: Flask,
    modules: Sequence[ModuleType],
    *,
    authenticate: Callable[[Parts, str], tuple[str, Actor]],
    require_scope: Callable[[Actor, str], None],
) -> None:
    """Put the endpoints of ``modules`` (each with a ``blp``) and the OpenAPI document into the app."""
    parts: Parts = app.extensions[web.EXTENSION]
    limiter = RateLimiter(parts.queue, parts.settings.api_rate_per_minute)
    app.extensions[f"{web.EXTENSION}.{serving.GATE}"] = serving.Gate(authenticate, require_scope, limiter)
    app.url_map.converters["reference"] = Reference
    app.config.update(API_TITLE="Growth Engine", API_VERSION=VERSION, OPENAPI_VERSION="3.1.0")
    api = Api(
        app,
        spec_kwargs={
            "info": {"description": _INTRODUCTION},
            "servers": [{"url": "/"}],
            "marshmallow_plugin": MarshmallowPlugin(schema_name_resolver=_schema_name),
        },
    )
    api.spec.components.security_scheme(
        "token", {"type": "http", "scheme": "bearer", "description": "An API token: `ge_…`."}
    )
    for module in modules:
        api.add(module.blp)
    described: dict[str, Any] = api.spec.to_dict()
    app.extensions[f"{web.EXTENSION}.{DESCRIPTION}"] = described
    document = orjson.dumps(described)
    app.add_url_rule(
        f"{PREFIX}/openapi.json", "openapi", lambda: Response(document, mimetype="application/json")
    )


def description(app: Flask) -> dict[str, Any]:
    """The OpenAPI document of the app."""
    described: dict[str, Any] = app.extensions[f"{web.EXTENSION}.{DESCRIPTION}"]
    return described


def _schema_name(schema: Any) -> str:
    """Python calls some shapes ``…Shape`` to tell them from tables; callers need not know."""
    return resolver(schema).removesuffix("Shape")


def _without(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def _documented(name: str, rule: str, said: Operation, methods: Sequence[str]) -> dict[str, Any]:
    """What flask-smorest turns into the OpenAPI description of the operation."""
    writes = not set(methods) <= web.SAFE_METHODS
    parameters: list[dict[str, Any]] = []
    if said.query is not None:
        parameters.append({"in": "query", "schema": said.query})
    if writes:
        parameters.append(dict(_KEY_PARAMETER))
    if said.body is not None:
        parameters.append({"in": "json", "required": said.body_needed, "schema": said.body})
    refused = {*_ALWAYS, *said.refuses}
    refused |= {404} if _PARAMETER.search(rule) else set()
    refused |= set(_WITH_BODY) if said.body is not None else set()
    refused |= {409, 422} if writes else set()
    refused |= {422} if said.query is not None else set()
    responses: dict[int, list[Any]] = {
        status: [_answer_of(schema, words, said.mimetype)] for status, (schema, words) in said.answers.items()
    }
    for status in sorted(refused):
        responses[status] = [HTTPStatus(status).name]
    return {
        "arguments": {"parameters": parameters},
        "response": {"responses": responses},
        "manual_doc": {"operationId": name, "security": [{"token": [said.scope]}]},
    }


def _answer_of(schema: Any, words: str, mimetype: str | None) -> dict[str, Any]:
    shape = {"type": "string"} if mimetype else schema
    return {**({"schema": shape} if shape else {}), "description": words, "content_type": mimetype}


#: What holds for every operation: (topic, words with `code`).
NOTES = (
    ("Tokens", "Every request carries one: `Authorization: Bearer ge_…`. Make it in the console or with"
     " `growth-engine token create --workspace demo --scopes '*'`."),
    ("Bodies", "JSON (`Content-Type: application/json`). Unknown fields are refused."),
    ("Errors", "`application/problem+json` with a stable `code`; `errors` names wrong fields by path."),
    ("Lists", "Answer `{items, next_cursor}`; take `limit` (at most 100) and `cursor`."),
    ("Writes", "Take an `Idempotency-Key`: after a broken connection send the same request with the same key"
     " again, and it is carried out once. A repeated answer carries `Idempotent-Replayed: true`."),
    ("Limits", "`RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds) on every answer;"
     " beyond the limit 429 with `Retry-After`."),
    ("Times and ids", "Times are UTC (RFC 3339). Ids have a prefix (`cmp_`, `con_`) and sort by age."),
    ("People", "In addresses named by id, by `kind:value` (`phone:+8613800138000`, `external_id:u1`) or by a"
     " bare value, percent-encoded. Where an id of yours ends like one of our addresses"
     " (`…/membership`), use the `con_` id."),
    ("Words", "Messages for people come in the language of `Accept-Language` (zh, en)."),
)  # fmt: skip
_INTRODUCTION = "\n".join(f"- **{topic}**: {words}" for topic, words in NOTES)

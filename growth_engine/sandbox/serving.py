"""How a service listens: routes, one transaction a call, faults that strike, every call written down."""

from __future__ import annotations

import json
import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request
from werkzeug.datastructures import FileStorage, Headers
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from growth_engine.sandbox import faults
from growth_engine.sandbox.errcodes import Refused
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

Answer = Doc | Response
MAX_BODY = 24 * 1024 * 1024
_LOGGED_BYTES = 4000
#: How long calls under way get when the sandbox stops.
_PATIENCE = 10.0


@dataclass(slots=True)
class Call:
    """One request to us, read once."""

    world: World
    method: str
    path: str
    full_path: str
    query: dict[str, str]
    raw: bytes
    headers: Headers
    args: dict[str, str]
    remote: str
    cookies: Mapping[str, str]
    form: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, FileStorage] = field(default_factory=dict)
    account: Doc = field(default_factory=dict)
    """The account, corporation or merchant that calls, once that is known."""

    def json(self) -> Doc:
        """The body as a JSON object, or the refusal of the errcode family."""
        if not self.raw:
            raise Refused(44002)
        try:
            found = json.loads(self.raw)
        except ValueError as error:
            raise Refused(47001) from error
        if not isinstance(found, dict):
            raise Refused(47001)
        return found


Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Entry:
    method: str
    rule: str
    handler: Handler
    options: Mapping[str, Any]


class Routes:
    """The endpoints of one module: ``@routes("POST", "/path", option=…)``."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def __call__(self, method: str, rule: str, **options: Any) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            self.entries.append(Entry(method, rule, handler, options))
            return handler

        return add


class Service(ABC):
    """A listener at the root of its own port; subclasses say how it answers and how it refuses."""

    name: str

    def __init__(self, world: World, *modules: Routes) -> None:
        self.world = world
        self.flask = Flask(self.name, static_folder=None, template_folder=None)
        self.flask.config["PROPAGATE_EXCEPTIONS"] = True
        self.flask.config["MAX_CONTENT_LENGTH"] = MAX_BODY
        self.flask.json.sort_keys = False  # type: ignore[attr-defined]
        by_rule: dict[str, dict[str, Entry]] = {}
        self._plain = by_rule
        for module in modules:
            for entry in module.entries:
                by_rule.setdefault(entry.rule, {})[entry.method] = entry
        for rule in [rule for rule in by_rule if "<" in rule]:
            self._route(rule, self._view(by_rule.pop(rule)))
        # Flask takes half a millisecond to learn a rule, and there are hundreds: plain ones need none.
        self._route("/<path:_path>", self._by_path)
        self.flask.register_error_handler(404, lambda _error: self._unknown())

    def _route(self, rule: str, view: Callable[..., Response]) -> None:
        methods = ["GET", "POST", "PUT", "DELETE"]
        self.flask.add_url_rule(rule, endpoint=rule, view_func=view, methods=methods)

    def _by_path(self, _path: str) -> Response:
        entries = self._plain.get(request.path)
        return self._unknown() if entries is None else self._view(entries)()

    @abstractmethod
    def respond(self, call: Call, entry: Entry) -> Response:
        """Check who calls, do it, answer; called inside a transaction."""

    @abstractmethod
    def refuse(self, call: Call, error: Exception) -> Response | None:
        """The answer to an error that is part of the protocol; None for errors of our own."""

    @abstractmethod
    def wrong_method(self, call: Call, entries: Mapping[str, Entry]) -> Response: ...

    @abstractmethod
    def unknown(self, call: Call) -> Response: ...

    @abstractmethod
    def struck(self, call: Call, code: Any) -> Response:
        """The answer when a planned ``errcode`` strikes."""

    @abstractmethod
    def expire_tokens(self, call: Call) -> None:
        """Have the credentials of the caller run out at this moment."""

    def finish(self, call: Call, response: Response) -> Response:  # noqa: ARG002
        """What is done to every answer before it leaves."""
        return response

    def _view(self, entries: Mapping[str, Entry]) -> Callable[..., Response]:
        def view(**args: str) -> Response:
            call = self._read(args)
            entry = entries.get(call.method)
            if entry is None:
                return self._sent(call, self.wrong_method(call, entries))
            return self._faulty(call, entry)

        return view

    def _unknown(self) -> Response:
        call = self._read({})
        return self._sent(call, self.unknown(call))

    def _faulty(self, call: Call, entry: Entry) -> Response:
        rule = faults.take(self.world, self.name, "request", call.path)
        action = rule["action"] if rule else None
        value = rule["value"] if rule else None
        if action == "drop":
            self._note(call, "connection dropped", b"")
            hang_up()
        if action == "delay":
            self.world.stopping.wait(float(value or 1))
        if action == "status":
            page = "<html><head><title>Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
            return self._logged(call, Response(page, int(value or 502), mimetype="text/html"))
        if action == "errcode":
            return self._sent(call, self.struck(call, value))
        if action == "expire_token":
            with self.world.open():
                self.expire_tokens(call)
        response = self._answered(call, entry)
        if action == "lose_answer":
            self._note(call, "done, answer lost", response.get_data())
            hang_up()
        return self._sent(call, response)

    def _answered(self, call: Call, entry: Entry) -> Response:
        try:
            with self.world.open():
                return self.respond(call, entry)
        except Exception as error:
            refused = self.refuse(call, error)
            if refused is None:
                raise
            return refused

    def _sent(self, call: Call, response: Response) -> Response:
        with self.world.open():
            finished = self.finish(call, response)
        return self._logged(call, finished)

    def _logged(self, call: Call, response: Response) -> Response:
        kind = response.mimetype or ""
        text = kind.startswith("text/") or kind == "application/json"
        self._note(call, str(response.status_code), response.get_data() if text else b"(file)")
        return response

    def _note(self, call: Call, outcome: str, answer: bytes) -> None:
        with self.world.open():
            self.world.store.note(
                self.world.clock.time(),
                self.name,
                "in",
                f"{call.method} {call.path} → {outcome}",
                {
                    "query": call.query,
                    "body": call.raw[:_LOGGED_BYTES].decode("utf-8", "replace"),
                    "answer": answer[:_LOGGED_BYTES].decode("utf-8", "replace"),
                },
            )

    def _read(self, args: dict[str, str]) -> Call:
        multipart = request.mimetype == "multipart/form-data"
        return Call(
            world=self.world,
            method=request.method,
            path=request.path,
            full_path=request.environ.get("RAW_URI") or request.full_path.rstrip("?"),
            query=request.args.to_dict(),
            raw=b"" if multipart else request.get_data(),
            headers=Headers(request.headers),
            args=args,
            remote=request.remote_addr or "",
            cookies=request.cookies,
            form=request.form if multipart else {},
            files=request.files if multipart else {},
        )


def hang_up() -> None:
    """Break the connection without an answer, as a network does."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionAbortedError("planned")


class _Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """The request log is ours (``/_sandbox/log``)."""


def _listening(host: str, port: int) -> socket.socket:
    bound = socket.socket()
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError:
        bound.close()
        raise
    return bound


class Listener:
    """A service on a port of its own, served by threads of this process."""

    def __init__(self, service: Service, host: str, port: int) -> None:
        self._open = 0
        self._changed = threading.Condition()
        self._app = service.flask
        with _listening(host, port) as bound:  # Werkzeug itself would end the process over a port in use
            self._server: BaseWSGIServer = make_server(
                host,
                bound.getsockname()[1],
                self._counted,
                threaded=True,
                request_handler=_Quiet,
                fd=bound.fileno(),
            )
        self.url = f"http://{host}:{self._server.port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name=f"sandbox-{service.name}", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Give the port back without having served."""
        self._server.server_close()

    def stop(self) -> None:
        """Take no more calls, let those under way end."""
        self._server.shutdown()
        self._thread.join(_PATIENCE)
        self._server.server_close()
        with self._changed:
            self._changed.wait_for(lambda: self._open == 0, _PATIENCE)

    def _counted(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._changed:
            self._open += 1
        try:
            return self._app(environ, start_response)
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

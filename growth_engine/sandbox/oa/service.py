"""How the Official Account's servers answer: token checked, 200 with errcode, pages for browsers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Response

from growth_engine.sandbox import jsonic
from growth_engine.sandbox.errcodes import Refused, document
from growth_engine.sandbox.oa import tokens
from growth_engine.sandbox.serving import Call, Entry, Service


class OfficialAccounts(Service):
    """Routes take ``token=False`` where no access_token is asked for."""

    name = "oa"

    def respond(self, call: Call, entry: Entry) -> Response:
        if entry.options.get("token", True):
            call.account = tokens.account_of(call)
            self._count(call)
        answer = entry.handler(call)
        return answer if isinstance(answer, Response) else jsonic.response(answer)

    def _count(self, call: Call) -> None:
        limit = call.account["daily_quota"].get(call.path)
        if limit is not None and not self.world.use_today(f"oa/{call.account['appid']}{call.path}", limit):
            raise Refused(45009)

    def refuse(self, call: Call, error: Exception) -> Response | None:  # noqa: ARG002
        if not isinstance(error, Refused):
            return None
        with self.world.open():
            return jsonic.response(document(self.world, error))

    def wrong_method(self, call: Call, entries: Mapping[str, Entry]) -> Response:
        refused = self.refuse(call, Refused(43001 if "GET" in entries else 43002))
        assert refused is not None
        return refused

    def unknown(self, call: Call) -> Response:
        if call.path.startswith(("/cgi-bin/", "/sns/")):
            refused = self.refuse(call, Refused(40066))
            assert refused is not None
            return refused
        return Response("<html><body><h1>404 Not Found</h1></body></html>", 404, mimetype="text/html")

    def struck(self, call: Call, code: Any) -> Response:
        refused = self.refuse(call, Refused(int(code)))
        assert refused is not None
        return refused

    def expire_tokens(self, call: Call) -> None:
        tokens.expire_all(self.world, call.query.get("access_token", ""))

"""A platform that answers what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

Answering = Callable[[httpx.Request], httpx.Response]


@dataclass
class Scripted:
    """A transport: answers of a path in order, the last one for ever; a token for whoever asks.

    ``answers[path]`` holds documents, responses, exceptions to raise, or functions of the request.
    """

    answers: dict[str, deque[Any]] = field(default_factory=dict)
    requests: list[httpx.Request] = field(default_factory=list)
    tokens: int = 0

    def on(self, path: str, *answers: Any) -> Scripted:
        self.answers[path] = deque(answers)
        return self

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._answer)

    def asked(self, path: str) -> list[httpx.Request]:
        return [request for request in self.requests if request.url.path == path]

    def bodies(self, path: str) -> list[Any]:
        return [json.loads(request.content) for request in self.asked(path)]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        path = request.url.path
        waiting = self.answers.get(path)
        if waiting is None and path in ("/cgi-bin/stable_token", "/cgi-bin/gettoken"):
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"token-{self.tokens}", "expires_in": 7200})
        assert waiting, f"nobody expected {request.method} {path}"
        answer = waiting.popleft() if len(waiting) > 1 else waiting[0]
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer = answer(request)
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

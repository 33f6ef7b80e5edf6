"""Requests no person makes: link previews, scanners, prefetches. They see pages; nothing is done for them."""

from __future__ import annotations

import re

from flask import Request

#: What programs that fetch links say of themselves; HTTP libraries name themselves as well. WeChat's own
#: browser, the one people scan with, says MicroMessenger and is none of them.
_PROGRAMS = re.compile(
    r"bot\b|bot/|crawl|spider|slurp|preview|scanner|monitor|facebookexternalhit|whatsapp/|skypeuripreview"
    r"|curl/|wget/|python|go-http-client|okhttp|java/|libwww|httpclient|axios|node-fetch",
    re.IGNORECASE,
)
#: Headers browsers send with pages they fetch before anybody asks for them.
_AHEAD = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


def only_looks(request: Request) -> bool:
    """Whether a request comes from no person: nothing may be reserved or counted for it."""
    if request.method == "HEAD":
        return True
    if any(re.search("prefetch|prerender|preview", request.headers.get(name, ""), re.I) for name in _AHEAD):
        return True
    agent = request.headers.get("User-Agent", "")
    return not agent or _PROGRAMS.search(agent) is not None

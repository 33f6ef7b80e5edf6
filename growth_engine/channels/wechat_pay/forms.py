"""What WeChat Pay takes in its fields, checked before anything is signed (sheet §4.4, §4.5, §4.7)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from growth_engine.channels.contract import Reason
from growth_engine.channels.errors import ChannelError, OutcomeUnknown, RetryLater, StopAndAlert
from growth_engine.channels.wire import is_loopback
from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_

#: Sheet §4.4 (v2 pages; unconfirmed for v3).
ORDER_NUMBER = re.compile(r"[0-9A-Za-z_\-|*]{6,32}")
LONGEST_DESCRIPTION = 127
LONGEST_ATTACH = 128
#: General knowledge (refund pages): letters, digits and _-|*@, at most 64.
REFUND_NUMBER = re.compile(r"[0-9A-Za-z_\-|*@]{1,64}")
LONGEST_REFUND_REASON = 80
#: Sheet §4.7: letters and digits, at most 32.
BILL_NUMBER = re.compile(r"[0-9A-Za-z]{1,32}")
LONGEST_TRANSFER_REMARK = 32

T = TypeVar("T")


def refuse(what: str) -> Invalid:
    return Invalid(N_("WeChat Pay does not accept this: %(what)s."), params={"what": what})


def require(fits: object, what: str) -> None:
    if not fits:
        raise refuse(what)


def require_notify_url(url: str) -> None:
    """https, reachable from outside, no query (sheet §4.5); plain http only to the sandbox's machine."""
    parts = urlsplit(url)
    loopback = parts.scheme == "http" and is_loopback(parts.hostname or "")
    require((parts.scheme == "https" or loopback) and parts.hostname, "notify_url must be https")
    require(not parts.query and not parts.fragment, "notify_url without query")


def understood(
    found: Mapping[str, Any], read: Callable[[Mapping[str, Any]], T], operation: str, *, safe: bool
) -> T:
    """An answer as a value of ours; a signed answer we cannot read tells nothing about what was done."""
    try:
        return read(found)
    except (KeyError, TypeError, ValueError, AttributeError):
        kind: type[ChannelError] = RetryLater if safe else OutcomeUnknown
        raise kind(Reason.OTHER, operation=operation, number="unreadable answer") from None


def require_same(operation: str, *, safe: bool = True, **pairs: tuple[object, object]) -> None:
    """What the answer speaks of must be what was asked for; empty says nothing."""
    for name, (answered, asked) in pairs.items():
        if answered not in ("", None) and answered != asked:
            kind: type[ChannelError] = StopAndAlert if safe else OutcomeUnknown
            raise kind(Reason.OTHER, operation=operation, number=f"another {name} in the answer")

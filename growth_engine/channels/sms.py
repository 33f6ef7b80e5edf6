"""Text messages with codes: the provider contract, its development twin, and its null twin."""

from __future__ import annotations

import re
from collections import deque
from typing import Protocol

import structlog

from growth_engine.kit.errors import Unavailable
from growth_engine.kit.i18n import N_
from growth_engine.settings import Settings

log = structlog.get_logger(__name__)

_KEPT = 50
_CODE = re.compile(r"\d{4,8}")


class SmsUnavailable(Unavailable):
    code = "sms_unavailable"
    message = N_("Text messages cannot be sent right now. Please try again later.")


class SmsProvider(Protocol):
    def send(self, phone: str, text: str) -> None:
        """Hand ``text`` to the provider for ``phone`` (E.164); raises SmsUnavailable when it is refused."""
        ...


class ConsoleSms:
    """Development twin: shows the message on the server's screen; tests read the last ones."""

    def __init__(self) -> None:
        self._sent: deque[tuple[str, str]] = deque(maxlen=_KEPT)

    def send(self, phone: str, text: str) -> None:
        self._sent.append((phone, text))
        # The whole number is the person's; its tail is enough for the developer to tell two phones apart.
        log.warning("sms.console", to=f"…{phone[-4:]}", text=text)

    def last(self, phone: str) -> str | None:
        """The last message to ``phone``."""
        return next((text for to, text in reversed(self._sent) if to == phone), None)

    def last_code(self, phone: str) -> str | None:
        """The code (4 to 8 digits) in the last message to ``phone``."""
        found = _CODE.search(self.last(phone) or "")
        return found[0] if found else None


class NoSms:
    """No provider: pages that would send a code say that they cannot."""

    def send(self, phone: str, text: str) -> None:  # noqa: ARG002 - the contract
        raise SmsUnavailable


def from_settings(settings: Settings) -> SmsProvider:
    return ConsoleSms() if settings.sms_provider == "console" else NoSms()

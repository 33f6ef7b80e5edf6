"""What a call to a platform may end in, besides success: later, other token, alert, final, or unknown."""

from __future__ import annotations

from datetime import datetime

from growth_engine.channels.contract import Outcome, Reason, Refused, Unknown
from growth_engine.kit.errors import GrowthError
from growth_engine.kit.i18n import N_


class ChannelError(GrowthError):
    """A call that did not succeed. Holds codes and numbers only: never a body, a token or an errmsg."""

    code = "channel_error"
    status = 502
    message = N_("The platform refused the request (%(operation)s: %(number)s).")

    def __init__(
        self,
        reason: Reason,
        *,
        operation: str,
        number: str = "",
        trace: str = "",
        retry_at: datetime | None = None,
    ) -> None:
        super().__init__(params={"operation": operation, "number": number or reason.value})
        self.reason = reason
        self.operation = operation
        self.number = number
        """The platform's code, or what happened on the way (``ReadTimeout``, ``http 502``)."""
        self.trace = trace
        """``rid`` or Request-Id, for the platform's support."""
        self.retry_at = retry_at


class RetryLater(ChannelError):
    """Certainly not done; time helps."""

    code = "channel_busy"
    status = 503
    message = N_("The platform cannot be reached or is busy (%(operation)s: %(number)s). Try again later.")


class TokenRefused(ChannelError):
    """Certainly not done; the access token is no longer good. Refreshed once, then passed on."""

    code = "channel_token_refused"
    message = N_("The platform refuses our access token (%(operation)s: %(number)s).")


class StopAndAlert(ChannelError):
    """Certainly not done, and nothing will be until somebody corrects the connection."""

    code = "channel_needs_attention"
    message = N_(
        "The connection needs attention before anything more goes through it (%(operation)s: %(number)s)."
    )


class GoneForGood(ChannelError):
    """Certainly not done, and never will be: this recipient, this code, this request."""

    code = "channel_refused"
    status = 409


class OutcomeUnknown(ChannelError):
    """Maybe done: the answer was lost, unreadable or not to be believed. Ask; never conclude failure."""

    code = "channel_outcome_unknown"
    message = N_("It is not known whether the platform did it (%(operation)s: %(number)s).")


_CLASS_OF: dict[Reason, type[ChannelError]] = {
    Reason.BUSY: RetryLater,
    Reason.UNREACHABLE: RetryLater,
    Reason.QUOTA: RetryLater,
    Reason.TOKEN: TokenRefused,
    Reason.CREDENTIALS: StopAndAlert,
    Reason.PERMISSION: StopAndAlert,
    Reason.FUNDS: StopAndAlert,
}


def error_for(
    reason: Reason,
    *,
    operation: str,
    number: str = "",
    trace: str = "",
    retry_at: datetime | None = None,
) -> ChannelError:
    """The error of the class that ``reason`` belongs to."""
    kind = _CLASS_OF.get(reason, GoneForGood)
    return kind(reason, operation=operation, number=number, trace=trace, retry_at=retry_at)


def outcome_of(error: ChannelError) -> Outcome:
    """An error as what became of a message."""
    if isinstance(error, OutcomeUnknown):
        return Unknown(why=error.number)
    return Refused(error.reason, code=error.number, trace=error.trace, retry_at=error.retry_at)


# ── Codes ───────────────────────────────────────────────────────────────────────────────────────────────
# A code that is not listed is final for its request (Reason.OTHER) and logged with its number: retrying for
# ever what we do not understand would use up quotas, stopping the account for it would be worse.

#: Official Account (sheet §2.13; 45065 to 45067 §2.7; 40006, 40008, 40035, 44001 to 44004, 47001 from the
#: platform's general list: forms and sizes).
OFFICIAL_ACCOUNT: dict[int, Reason] = {
    -1: Reason.BUSY,
    40001: Reason.TOKEN,
    40002: Reason.BAD_REQUEST,
    40003: Reason.UNKNOWN_PERSON,
    40004: Reason.BAD_REQUEST,
    40007: Reason.MEDIA,
    40006: Reason.BAD_REQUEST,
    40008: Reason.BAD_REQUEST,
    40013: Reason.CREDENTIALS,
    40014: Reason.TOKEN,
    40029: Reason.NOT_FOUND,
    40030: Reason.TOO_LATE,
    40035: Reason.BAD_REQUEST,
    40125: Reason.CREDENTIALS,
    40163: Reason.ALREADY_DONE,
    40164: Reason.CREDENTIALS,
    40243: Reason.CREDENTIALS,
    **dict.fromkeys(range(41001, 41010), Reason.BAD_REQUEST),
    42001: Reason.TOKEN,
    42002: Reason.TOO_LATE,
    42003: Reason.TOO_LATE,
    42007: Reason.TOO_LATE,
    **dict.fromkeys(range(43001, 43004), Reason.BAD_REQUEST),
    43004: Reason.NOT_FOLLOWING,
    43019: Reason.BLOCKED,
    43101: Reason.NOT_GRANTED,
    **dict.fromkeys(range(44001, 44005), Reason.BAD_REQUEST),
    **dict.fromkeys(range(45001, 45009), Reason.BAD_REQUEST),
    45009: Reason.QUOTA,
    45011: Reason.BUSY,
    45015: Reason.WINDOW_CLOSED,
    45047: Reason.WINDOW_USED_UP,
    45065: Reason.ALREADY_DONE,
    45066: Reason.ALREADY_DONE,
    45067: Reason.ALREADY_DONE,
    47001: Reason.BAD_REQUEST,
    48001: Reason.PERMISSION,
    48002: Reason.BLOCKED,
    48004: Reason.PERMISSION,
    50001: Reason.PERMISSION,
    50002: Reason.PERMISSION,
}

#: WeCom (sheet §3.1; welcome §3.5; transfers §3.8, whose single meanings but 40128 are general knowledge, as
#: are 40071, 41048, 49008, 60111 and 84061).
WECOM: dict[int, Reason] = {
    -1: Reason.BUSY,
    40001: Reason.CREDENTIALS,
    40013: Reason.CREDENTIALS,
    40014: Reason.TOKEN,
    40058: Reason.BAD_REQUEST,
    40068: Reason.NOT_FOUND,
    40071: Reason.ALREADY_DONE,
    40096: Reason.UNKNOWN_PERSON,
    40097: Reason.MEMBER,
    40098: Reason.MEMBER,
    40099: Reason.LIMIT,
    40100: Reason.ALREADY_DONE,
    40128: Reason.LIMIT,
    40129: Reason.ALREADY_DONE,
    40130: Reason.BAD_REQUEST,
    40131: Reason.UNKNOWN_PERSON,
    40132: Reason.MEMBER,
    41001: Reason.BAD_REQUEST,
    41045: Reason.LIMIT,
    41048: Reason.NOT_FOUND,
    41050: Reason.TOO_LATE,
    41051: Reason.ALREADY_DONE,
    41054: Reason.MEMBER,
    41057: Reason.PERMISSION,
    41096: Reason.BUSY,
    42001: Reason.TOKEN,
    45009: Reason.QUOTA,
    45033: Reason.BUSY,
    48002: Reason.PERMISSION,
    49008: Reason.NOT_FOUND,
    60011: Reason.MEMBER,
    60020: Reason.CREDENTIALS,
    60111: Reason.MEMBER,
    84061: Reason.UNKNOWN_PERSON,
}

"""What people are told about their membership: codes of messages and their words (message ids)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from growth_engine.kit.i18n import N_

GRANTED: Final = "days_granted"
WAITING: Final = "days_waiting"
TAKEN_BACK: Final = "days_taken_back"
ENDING: Final = "membership_ending"

#: Parameters: ``days``, ``plan`` (its name), ``ends_on`` (ISO date).
MESSAGES: Final[Mapping[str, str]] = {
    GRANTED: N_("You received %(days)s days of %(plan)s. It now runs until %(ends_on)s."),
    WAITING: N_("You received %(days)s days of %(plan)s. They wait until your pause is over."),
    TAKEN_BACK: N_("%(days)s days of %(plan)s that had not begun were taken back."),
    ENDING: N_("%(plan)s ends on %(ends_on)s."),
}

"""What a check before publishing looks at, and what it says about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as made_by
from datetime import datetime
from typing import Any

from growth_engine.plays.contract import Play
from growth_engine.plays.selling import sells
from growth_engine.plays.wording import Severity


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that must, or should, be changed before publishing."""

    code: str
    severity: Severity
    field: str
    """A field of the copy (``title``, ``rules`` …), ``config.<name>``, ``products`` or ``ends_at``."""
    message_id: str
    """English message id; ``params`` fill its %(name)s."""
    excerpt: str = ""
    """The words meant, as they stand in the copy."""
    params: Mapping[str, Any] = made_by(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "severity": self.severity,
            "field": self.field,
            "excerpt": self.excerpt,
            "message": self.message_id % dict(self.params) if self.params else self.message_id,
        }


@dataclass(frozen=True, slots=True)
class Draft:
    """What the checks look at: the rules, the copy as people will read it, and the dates."""

    play: Play
    config: Mapping[str, Any]
    promise: Mapping[str, Any]
    written: Mapping[str, Any]
    """The copy with its placeholders."""
    content: Mapping[str, Any]
    """The copy filled."""
    starts_at: datetime | None
    ends_at: datetime | None
    products: Sequence[Mapping[str, Any]] | None
    """What is sold, each with ``sku`` and ``price``; ``None`` where that is not known."""

    @property
    def sells(self) -> bool:
        return sells(self.play)

    def lines(self) -> Iterator[tuple[str, str]]:
        """Every piece of text with its field; a list line by line."""
        for name, value in self.content.items():
            if name == "colour":
                continue
            for line in [value] if isinstance(value, str) else value:
                if line:
                    yield name, line

    def all_text(self) -> str:
        return "\n".join(line for _, line in self.lines())

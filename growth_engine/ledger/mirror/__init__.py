"""The live ledger in Redis or Valkey: a pure fold of the journal that every page reads."""

from growth_engine.ledger.mirror.client import Mirror
from growth_engine.ledger.mirror.content import BookMoved
from growth_engine.ledger.mirror.library import (
    LIBRARY,
    MirrorBroken,
    MirrorUnavailable,
    OpRefused,
    StaleEpoch,
)
from growth_engine.ledger.mirror.views import Applied, BookKey, Entry, MemberView, Op, Totals

__all__ = [
    "LIBRARY",
    "Applied",
    "BookKey",
    "BookMoved",
    "Entry",
    "MemberView",
    "Mirror",
    "MirrorBroken",
    "MirrorUnavailable",
    "Op",
    "OpRefused",
    "StaleEpoch",
    "Totals",
]

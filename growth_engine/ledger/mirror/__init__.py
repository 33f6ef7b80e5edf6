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
from growth_engine.ledger.mirror.views import (
    AccountName,
    Applied,
    BookKey,
    Earned,
    Entry,
    MemberView,
    Op,
    Totals,
)

__all__ = [
    "LIBRARY",
    "AccountName",
    "Applied",
    "BookKey",
    "BookMoved",
    "Earned",
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

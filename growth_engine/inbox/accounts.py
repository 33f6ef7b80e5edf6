"""Connected accounts as their providers need them, remembered for a few seconds by each process."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from growth_engine.connections import queries
from growth_engine.connections.queries import Connection
from growth_engine.context import Parts
from growth_engine.inbox.contract import Account

#: Every callback needs the account; asking for it each time would double the questions to the database.
REMEMBER_SECONDS = 5.0
#: A callback that is refused looks again, unless that was so shortly ago: a key may just have changed.
LOOK_AGAIN_SECONDS = 1.0
#: More accounts than this in one process and memory is cleared: they are read anew in no time.
MOST = 2048

_ID = re.compile(r"chn_[0-9a-z]{26}")


@dataclass(frozen=True, slots=True)
class Known:
    workspace_id: str
    state: str
    account: Account
    read_at: float
    """Seconds of the monotonic clock."""


def account_of(connection: Connection, now: datetime) -> Account:
    """The account with the keys that are believed at ``now``."""
    return Account(
        id=connection.id,
        provider=connection.provider,
        ids=connection.ids,
        mode=connection.settings.get("mode", "safe"),
        tokens=connection.believed("token", now),
        aes_keys=connection.believed("aes_key", now),
        api_v3_keys=connection.believed("api_v3_key", now),
        platform_keys=connection.platform_keys,
    )


class Accounts:
    """Finds accounts by the id in a callback's address."""

    def __init__(self, parts: Parts, seconds: Callable[[], float] = time.monotonic) -> None:
        self._parts = parts
        self._seconds = seconds
        self._known: dict[str, Known] = {}
        self._lock = threading.Lock()

    def find(self, account_id: str, *, within: float = REMEMBER_SECONDS) -> Known | None:
        """The account as it was at most ``within`` seconds ago; None when there is none in use."""
        known = self._known.get(account_id)
        if known is None or self._seconds() - known.read_at > within:
            known = self._read(account_id)
        return known if known is not None and known.state != "disabled" else None

    def forget(self, account_id: str) -> None:
        with self._lock:
            self._known.pop(account_id, None)

    def _read(self, account_id: str) -> Known | None:
        if not _ID.fullmatch(account_id):
            return None
        read_at = self._seconds()
        workspace_id = queries.workspace_of(self._parts.db, account_id)
        if workspace_id is None:
            return None
        with self._parts.open(workspace_id) as ctx:
            connection = queries.connection(ctx, account_id)
        known = Known(
            workspace_id, connection.state, account_of(connection, self._parts.clock.now()), read_at
        )
        with self._lock:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[account_id] = known
        return known

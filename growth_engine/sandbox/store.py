"""Everything the sandbox remembers, in one SQLite file: documents by shelf and key, files, timers, a log."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Doc = dict[str, Any]

_TABLES = """
CREATE TABLE IF NOT EXISTS docs (
  shelf TEXT NOT NULL, key TEXT NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (shelf, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (key TEXT PRIMARY KEY, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS timers (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, lane TEXT NOT NULL,
  payload TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS timers_at ON timers (at, id);
CREATE TABLE IF NOT EXISTS log (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, service TEXT NOT NULL, direction TEXT NOT NULL,
  line TEXT NOT NULL, doc TEXT NOT NULL);
"""
#: Older lines of the request log are forgotten.
LOG_LINES = 5000


@dataclass(frozen=True, slots=True)
class Timer:
    """Something to be done at a moment; timers of one lane are done one after the other."""

    id: int
    at: float
    kind: str
    lane: str
    payload: Doc


class Store:
    """One lock, one connection; ``with store.open():`` is one transaction. ``None`` keeps all in memory."""

    def __init__(self, path: Path | None) -> None:
        self._db = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)
        self._lock = threading.RLock()
        self._depth = 0
        self.changed = threading.Condition(self._lock)
        self.version = 0
        self._nobody_waits = False
        self.on_commit: Callable[[], None] = lambda: None

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def open(self) -> Iterator[None]:
        """A transaction; inner ones belong to the outermost. An exception undoes all of it."""
        with self._lock:
            if self._depth:
                yield
                return
            self._db.execute("BEGIN")
            self._depth = 1
            before = self._db.total_changes
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            else:
                self._db.execute("COMMIT")
                if self._db.total_changes != before:
                    self.version += 1
                    self.changed.notify_all()
            finally:
                self._depth = 0
        self.on_commit()

    def wait_for_change(self, since: int, seconds: float) -> int:
        """The number of the latest change, after waiting until it is greater than ``since``."""
        with self.changed:
            self.changed.wait_for(lambda: self._nobody_waits or self.version > since, seconds)
            return self.version

    def let_go(self) -> None:
        """Nobody is to wait for changes any more."""
        with self.changed:
            self._nobody_waits = True
            self.changed.notify_all()

    # -- documents ---------------------------------------------------------------------------------

    def get(self, shelf: str, key: str) -> Doc | None:
        row = self._one("SELECT doc FROM docs WHERE shelf = ? AND key = ?", shelf, key)
        return None if row is None else json.loads(row[0])

    def put(self, shelf: str, key: str, doc: Doc) -> Doc:
        self._run(
            "INSERT INTO docs VALUES (?, ?, ?) ON CONFLICT (shelf, key) DO UPDATE SET doc = excluded.doc",
            shelf,
            key,
            json.dumps(doc, ensure_ascii=False),
        )
        return doc

    def drop(self, shelf: str, key: str) -> None:
        self._run("DELETE FROM docs WHERE shelf = ? AND key = ?", shelf, key)

    def all(self, shelf: str, prefix: str = "") -> dict[str, Doc]:
        """The documents of a shelf in the order of their keys, those that begin with ``prefix``."""
        rows = self._many(
            "SELECT key, doc FROM docs WHERE shelf = ? AND key >= ? AND key < ? ORDER BY key",
            shelf,
            prefix,
            prefix + "\U0010ffff",
        )
        return {key: json.loads(doc) for key, doc in rows}

    def count(self, shelf: str, prefix: str = "") -> int:
        row = self._one(
            "SELECT count(*) FROM docs WHERE shelf = ? AND key >= ? AND key < ?",
            shelf,
            prefix,
            prefix + "\U0010ffff",
        )
        return int(row[0]) if row else 0

    def next(self, name: str, by: int = 1) -> int:
        """The counter's next value: 1, 2, 3 …"""
        row = self._one(
            "INSERT INTO counters VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value",
            name,
            by,
        )
        assert row is not None
        return int(row[0])

    def counted(self, name: str) -> int:
        row = self._one("SELECT value FROM counters WHERE name = ?", name)
        return int(row[0]) if row else 0

    def forget_counters(self, prefix: str) -> None:
        self._run("DELETE FROM counters WHERE name >= ? AND name < ?", prefix, prefix + "\U0010ffff")

    # -- files -------------------------------------------------------------------------------------

    def file(self, key: str) -> bytes | None:
        row = self._one("SELECT content FROM files WHERE key = ?", key)
        return None if row is None else bytes(row[0])

    def keep_file(self, key: str, content: bytes) -> None:
        self._run("INSERT OR REPLACE INTO files VALUES (?, ?)", key, content)

    # -- timers ------------------------------------------------------------------------------------

    def add_timer(self, at: float, kind: str, lane: str, payload: Doc) -> int:
        row = self._one(
            "INSERT INTO timers (at, kind, lane, payload) VALUES (?, ?, ?, ?) RETURNING id",
            at,
            kind,
            lane,
            json.dumps(payload, ensure_ascii=False),
        )
        assert row is not None
        return int(row[0])

    def timers(self, until: float | None = None, kind: str | None = None) -> list[Timer]:
        """Timers waiting, the earliest first; those due at ``until``."""
        rows = self._many(
            "SELECT id, at, kind, lane, payload FROM timers"
            " WHERE (?1 IS NULL OR at <= ?1) AND (?2 IS NULL OR kind = ?2) ORDER BY at, id LIMIT 500",
            until,
            kind,
        )
        return [Timer(i, at, kind, lane, json.loads(payload)) for i, at, kind, lane, payload in rows]

    def has_timer(self, timer_id: int) -> bool:
        return self._one("SELECT 1 FROM timers WHERE id = ?", timer_id) is not None

    def move_timer(self, timer_id: int, at: float) -> None:
        self._run("UPDATE timers SET at = ? WHERE id = ?", at, timer_id)

    def end_timer(self, timer_id: int) -> None:
        self._run("DELETE FROM timers WHERE id = ?", timer_id)

    # -- log ---------------------------------------------------------------------------------------

    def note(self, at: float, service: str, direction: str, line: str, doc: Doc) -> None:
        """``direction`` is ``in`` for calls we answer, ``out`` for calls we make."""
        row = self._one(
            "INSERT INTO log (at, service, direction, line, doc) VALUES (?, ?, ?, ?, ?) RETURNING id",
            at,
            service,
            direction,
            line,
            json.dumps(doc, ensure_ascii=False),
        )
        if row and row[0] % 500 == 0:
            self._run("DELETE FROM log WHERE id <= ?", row[0] - LOG_LINES)

    def notes(self, *, since: int = 0, service: str | None = None, limit: int = 200) -> list[Doc]:
        """The latest lines of the request log, the newest last."""
        rows = self._many(
            "SELECT id, at, service, direction, line, doc FROM log"
            " WHERE id > ?1 AND (?2 IS NULL OR service = ?2) ORDER BY id DESC LIMIT ?3",
            since,
            service,
            limit,
        )
        return [
            {"id": i, "at": at, "service": s, "direction": d, "line": line, **json.loads(doc)}
            for i, at, s, d, line, doc in reversed(rows)
        ]

    def clear(self) -> None:
        """Forget everything."""
        with self.open():
            for table in ("docs", "files", "counters", "timers", "log"):
                self._run(f"DELETE FROM {table}")  # noqa: S608

    def _run(self, sql: str, *values: Any) -> None:
        with self._lock:
            self._db.execute(sql, values)

    def _one(self, sql: str, *values: Any) -> Any:
        with self._lock:
            return self._db.execute(sql, values).fetchone()

    def _many(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()

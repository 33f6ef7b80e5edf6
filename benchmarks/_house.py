"""What the benchmarks stand on: real embedded servers with production's durability, and a filled campaign."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import psycopg

from growth_engine.access.service import create_token, create_workspace
from growth_engine.app import build_parts
from growth_engine.context import Parts
from growth_engine.embedded.postgres import OWNER, postgres
from growth_engine.embedded.up import child_environment
from growth_engine.embedded.valkey import valkey
from growth_engine.kit import schema
from growth_engine.ledger.contract import EntryDraft, Event
from growth_engine.ledger.journal import GENESIS, make_entry
from growth_engine.plays import service, starting
from growth_engine.settings import Settings

ROOT = Path(__file__).parent.parent
SECRET = "benchmarks need a secret key of some length"


@contextmanager
def servers() -> Iterator[Settings]:
    """PostgreSQL (fsync on, commits wait for the disk) and Valkey, in a folder that is deleted afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="ge-bench-"))
    folder.chmod(0o711)
    database, redis = postgres(folder), valkey(folder)
    database.initialise()
    running = [database.start(), redis.start()]
    while not (database.ready() and redis.ready()):
        time.sleep(0.05)
    database.create_database()
    schema.upgrade(database.url(OWNER))
    try:
        yield Settings(
            database_url=database.url(),
            migration_database_url=database.url(OWNER),
            ledger_redis_url=redis.url(),
            queue_redis_url=redis.url(),
            secret_key=SECRET,
            data_dir=folder,
            api_rate_per_minute=10_000_000,
        )
    finally:
        for process in reversed(running):
            process.send_signal(signal.SIGINT)
            process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def parts_of(settings: Settings) -> Iterator[Parts]:
    parts = build_parts(settings)
    try:
        yield parts
    finally:
        parts.close()


def live_campaign(parts: Parts, slug: str = "bench") -> tuple[str, str, str]:
    """(workspace id, campaign id, API token) of a published campaign from the gallery."""
    workspace_id = create_workspace(parts, slug, "Bench", "Asia/Shanghai")
    with parts.open(workspace_id) as ctx:
        campaign = starting.create_from_template(ctx, "saas-membership", locale="en")
        service.update_draft(
            ctx,
            campaign.id,
            {"config": {**campaign.config, "velocity_limit": 1_000_000, "inviter_cap": None}},
        )
        service.publish(ctx, campaign.id, accept_warnings=True)
        campaign_id = campaign.id
    return workspace_id, campaign_id, create_token(parts, workspace_id, ["*"], "bench")


@contextmanager
def web(settings: Settings, port: int, app: str = "", **environment: str) -> Iterator[str]:
    """A granian process as ``growth-engine web`` starts it; ``app`` names another WSGI application."""
    env = {**child_environment(settings), "PORT": str(port), **environment}
    arguments = ["-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--workers", "1", "--blocking-threads", str(settings.web_threads), "--no-access-log"]
    process = subprocess.Popen(
        [sys.executable, *arguments, app or "wsgi:app"],
        env=env,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(address + "/", timeout=1)
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.1)
    try:
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@contextmanager
def program(settings: Settings, name: str) -> Iterator[None]:
    """Another program of the product (``callbacks``), as ``growth-engine up`` starts it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "growth_engine.cli", name],
        env=child_environment(settings),
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def fill(settings: Settings, workspace_id: str, campaign_id: str, members: int, journal: Any) -> float:
    """Write a whole campaign by COPY: people, participants, edges, Events and hash-chained Entries.

    ``journal(members)`` yields (seq, ops) as ``benchmarks/mirror.py`` makes them. Returns seconds.
    """
    began = time.perf_counter()
    with psycopg.connect(settings.migration_database_url) as conn:
        _Filler(conn, workspace_id, campaign_id).run(journal(members))
        conn.commit()
        conn.autocommit = True
        conn.execute("VACUUM ANALYZE")
    return time.perf_counter() - began


class _Filler:
    """Folds a made-up journal into rows of every table."""

    def __init__(self, conn: psycopg.Connection[Any], workspace_id: str, campaign_id: str) -> None:
        self._conn = conn
        self._workspace = workspace_id
        self._campaign = campaign_id
        self._tag = campaign_id[-8:]  # ids are unique over all campaigns
        self._start = datetime(2026, 1, 1, tzinfo=UTC)
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _COLUMNS}
        self._members: list[list[Any]] = []
        self._hash = GENESIS
        self._seq = 0

    def run(self, journal: Iterator[tuple[int, list[list[Any]]]]) -> None:
        for seq, ops in journal:
            self._entry(seq, ops)
            if seq % 20_000 == 0:
                self._flush()
        for number, member in enumerate(self._members, 1):
            parent, state, score, at, cohort = member
            self._rows["participants"].append(
                (
                    f"par_{self._tag}{number:018d}",
                    self._workspace,
                    self._campaign,
                    number,
                    f"con_{self._tag}{number:018d}",
                    parent,
                    f"{invite_prefix(self._campaign)}{number}",
                    state,
                    score,
                    cohort,
                    at,
                )
            )
        self._flush()
        self._conn.execute(
            "UPDATE books SET last_seq = %s, head = %s, members = %s WHERE id = %s",
            (self._seq, self._hash, len(self._members), self._campaign),
        )

    def _entry(self, seq: int, ops: list[list[Any]]) -> None:
        at = self._start + timedelta(seconds=seq)
        number = ops[0][1]
        if ops[0][0] == "m":
            self._member(number, ops, seq, at)
        else:
            self._members[number - 1][1] = "left"
        event = Event(self._workspace, self._campaign, "join", "bench", f"b{self._tag}{seq}", at, {})
        draft = EntryDraft(
            True, 1, number, None, [], ops, {"participant_id": f"par_{self._tag}{number:018d}"}
        )
        event_id = f"lev_{self._tag}{seq:018d}"
        entry = make_entry(event_id, event.book_id, event, draft, seq, at)
        self._hash, self._seq = entry.chained(self._hash), seq
        self._rows["events"].append(
            (
                event_id,
                self._workspace,
                self._campaign,
                "bench",
                f"b{self._tag}{seq}",
                "join",
                "{}",
                b"",
                at,
                at,
            )
        )
        self._rows["entries"].append(
            (
                self._campaign,
                seq,
                self._workspace,
                event_id,
                "join",
                True,
                number,
                None,
                1,
                at,
                orjson.dumps(entry.body).decode(),
                self._hash,
            )
        )

    def _member(self, number: int, ops: list[list[Any]], seq: int, at: datetime) -> None:
        parent, cohort = ops[0][2], ops[0][3]
        self._members.append([parent, "active", 0, at, cohort])
        if parent:
            self._members[parent - 1][2] += 1
            edge = (self._workspace, self._campaign, number, parent, "valid", "", seq, at)
            self._rows["invite_edges"].append(edge)
        contact = f"con_{self._tag}{number:018d}"
        self._rows["contacts"].append((contact, self._workspace, f"Member {number}", "bench", at))
        self._rows["contact_identities"].append(
            (self._workspace, "external_id", f"filled-{self._tag}-{number}", contact, at)
        )

    def _flush(self) -> None:
        for table, columns in _COLUMNS.items():
            with self._conn.cursor().copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in self._rows[table]:
                    copy.write_row(row)
            self._rows[table] = []


_COLUMNS = {
    "contacts": "id, workspace_id, nickname, source, first_seen_at",
    "contact_identities": "workspace_id, kind, value, contact_id, created_at",
    "events": "id, workspace_id, book_id, source, key, kind, facts, payload_hash, occurred_at, accepted_at",
    "entries": "book_id, seq, workspace_id, event_id, kind, accepted, member, other, rule_version, at,"
    " body, hash",
    "participants": "id, workspace_id, campaign_id, number, contact_id, inviter_number, invite_token, state,"
    " valid_invites, cohort, joined_at",
    "invite_edges": "workspace_id, campaign_id, invitee_number, inviter_number, state, reason, seq, at",
}


def invite_prefix(campaign_id: str) -> str:
    """What the invite tokens of a filled campaign's members begin with; their number follows."""
    return f"bench{campaign_id[-8:]}"

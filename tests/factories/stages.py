"""The product with a sandbox in front of it: real callbacks in, real calls out, people with phones."""

from __future__ import annotations

import io
import itertools
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import zxingcpp
from PIL import Image
from sqlalchemy import select, text
from werkzeug.serving import make_server

from growth_engine.app import build_parts, create_app
from growth_engine.channels.wechat_oa import OfficialAccount
from growth_engine.connections import credentials
from growth_engine.connections import queries as accounts
from growth_engine.connections import service as connections
from growth_engine.connections.service import Entered
from growth_engine.context import Parts
from growth_engine.kit import jobs
from growth_engine.kit.ids import Ids
from growth_engine.ledger.mirror import BookKey
from growth_engine.people import queries as people
from growth_engine.people.rules import Identity
from growth_engine.plays import invites, participation, queries
from growth_engine.plays.models import Participant
from growth_engine.posters import queries as posters
from growth_engine.posters import service as drawing
from growth_engine.reach.models import Delivery
from growth_engine.sandbox import Sandbox, start
from growth_engine.sandbox.handle import Person
from growth_engine.settings import Settings
from tests.factories.campaigns import make_campaign
from tests.factories.workspaces import make_workspace

AT = datetime(2026, 6, 1, 10, 0, tzinfo=UTC)

#: In the order things happen: news are picked up, codes issued, posters drawn, told of, sent.
JOBS = (
    "inbox.interpret", "ledger.sweep", "grants.drain", "reach.groups", "reach.profiles", "reach.pick",
    "reach.codes", "posters.render", "outbox.drain", "reach.deliver",
)  # fmt: skip


class SandboxClock:
    """The product lives by the sandbox's clock; no two moments are the same, as in life."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._ticks = itertools.count()

    def now(self) -> datetime:
        at = datetime.fromtimestamp(self._sandbox.world.clock.time(), UTC)
        return at + timedelta(microseconds=next(self._ticks))


@dataclass
class Stage:
    """One merchant, connected to the sandbox's Official Account and to its WeCom."""

    parts: Parts
    sandbox: Sandbox
    url: str
    workspace: str
    oa: str = ""
    wecom: str = ""
    cast: dict[str, Person] = field(default_factory=dict)

    # -- people ------------------------------------------------------------------------------------------

    def person(self, name: str) -> Person:
        """A simulated person, made when first named."""
        if name not in self.cast:
            self.cast[name] = self.sandbox.person(name)
        return self.cast[name]

    @property
    def appid(self) -> str:
        return str(self.sandbox.credentials["oa"]["appid"])

    def contact(self, name: str) -> str | None:
        """The contact somebody is known as."""
        with self.parts.open(self.workspace) as ctx:
            return people.by_identity(ctx, Identity("openid", self.person(name).openid()))

    def participant(self, name: str, campaign: str) -> Participant:
        with self.parts.open(self.workspace) as ctx:
            contact_id = people.by_identity(ctx, Identity("openid", self.person(name).openid()))
            assert contact_id is not None, f"{name} is not known"
            found = queries.participation(ctx, campaign, people.contact_family(ctx, contact_id))
            assert found is not None, f"{name} does not take part"
            return found

    def takes_part(self, name: str, campaign: str) -> bool:
        with self.parts.open(self.workspace) as ctx:
            contact_id = people.by_identity(ctx, Identity("openid", self.person(name).openid()))
            family = people.contact_family(ctx, contact_id) if contact_id else []
            return queries.participation(ctx, campaign, family) is not None

    def texts(self, name: str) -> list[str]:
        """What the account wrote to somebody, oldest first; a picture is ``<picture>``."""
        told = [one for one in self.person(name).chat() if one["from"] == "them"]
        return [one["text"] if one["kind"] == "text" else f"<{one['kind']}>" for one in told]

    # -- campaigns ---------------------------------------------------------------------------------------

    def campaign(self, config: Mapping[str, Any] | None = None, **columns: Any) -> str:
        """A live campaign with a poster, carried by the Official Account unless told otherwise."""
        with self.parts.open(self.workspace) as ctx:
            template = drawing.default_template(ctx)
        given = {"poster_template_id": template, "channel_account_id": self.oa, **columns}
        return make_campaign(self.parts, self.workspace, config, **given)

    def score(self, name: str, campaign: str) -> int:
        """Valid invites, in the table and in the mirror alike."""
        me = self.participant(name, campaign)
        view = self.parts.mirror.member(BookKey(self.workspace, campaign), me.number)
        assert view is not None
        assert view.score == me.valid_invites
        return me.valid_invites

    def count(self, table: str, where: str = "true", **values: Any) -> int:
        with self.parts.open(self.workspace) as ctx:
            statement = f"SELECT count(*) FROM {table} WHERE workspace_id = :ws AND {where}"
            return int(ctx.session.scalar(text(statement), {"ws": self.workspace, **values}) or 0)

    # -- posters and codes -------------------------------------------------------------------------------

    def code(self, name: str, campaign: str) -> str:
        """What the code on somebody's poster says, read off the picture."""
        return self.code_of(self.participant(name, campaign).id)

    def code_of(self, participant_id: str) -> str:
        with self.parts.open(self.workspace) as ctx:
            invites.request_poster(ctx, participant_id)
        self.work()
        with self.parts.open(self.workspace) as ctx:
            found = posters.poster_of(ctx, participant_id)
        assert found is not None
        assert found.content_key is not None
        return _read(self.parts.storage.get(found.content_key))

    def content_of(self, address: str) -> str:
        """What the code at an address of the platform's says."""
        return _read(httpx.get(address, trust_env=False).content)

    def inviter(self, name: str, campaign: str) -> str:
        """Somebody who came by themselves and takes part; the code on their poster."""
        self.person(name).do("follow", appid=self.appid)
        if not self.takes_part(name, campaign):
            ask = participation.JoinAsk(identities=[Identity("openid", self.person(name).openid())])
            key = self.parts.ids.new("key")
            participation.join(self.parts, self.workspace, campaign, ask, source="test", key=key)
        return self.code(name, campaign)

    def foreign_code(self, scene: str) -> str:
        """A code of the account's that is none of ours."""
        with self.parts.open(self.workspace) as ctx:
            of = credentials.official_account(accounts.connection(ctx, self.oa))
        return OfficialAccount(of, self.parts.gear).create_qr(scene).url

    # -- work and time -----------------------------------------------------------------------------------

    def work(self, *names: str) -> int:
        """What workers do, until nothing is left to do now."""
        total = 0
        while True:
            done = sum(jobs.drain(self.parts, name, self.workspace)[0] for name in names or JOBS)
            total += done
            if not done:
                return total

    def settled(self) -> None:
        """Work until what requests left running has ended as well."""
        for _ in range(100):
            self.work()
            if not self.count("inbox_messages", "state = 'received'"):
                break
            time.sleep(0.05)
        self.work()

    def later(self, **by: float) -> None:
        self.sandbox.advance(timedelta(**by).total_seconds())

    def deliveries(self, **where: Any) -> list[Delivery]:
        with self.parts.open(self.workspace) as ctx:
            wanted = select(Delivery).where(Delivery.workspace_id == self.workspace).filter_by(**where)
            return list(ctx.session.scalars(wanted.order_by(Delivery.id)))


def _read(picture: bytes) -> str:
    (found,) = zxingcpp.read_barcodes(
        Image.open(io.BytesIO(picture)).convert("L"), formats=zxingcpp.BarcodeFormat.QRCode
    )
    return str(found.text)


def connect(stage: Stage) -> None:
    """Both accounts, as their pages in the console would; the platform verifies the addresses."""
    oa, wecom = stage.sandbox.credentials["oa"], stage.sandbox.credentials["wecom"]
    with stage.parts.open(stage.workspace) as ctx:
        stage.oa = connections.connect(
            ctx,
            "wechat_oa",
            Entered(
                "Shop",
                {"appid": oa["appid"], "original_id": oa["original_id"]},
                {"mode": "safe"},
                {"app_secret": oa["secret"], "token": oa["token"], "aes_key": oa["encoding_aes_key"]},
            ),
        )
        stage.wecom = connections.connect(
            ctx,
            "wecom",
            Entered(
                "Corp",
                {"corpid": wecom["corpid"], "agentid": "218"},
                secrets={
                    "secret": wecom["secret"],
                    "token": wecom["token"],
                    "aes_key": wecom["encoding_aes_key"],
                },
            ),
        )
    stage.sandbox.oa_server(f"{stage.url}/webhooks/wechat_oa/{stage.oa}")
    stage.sandbox.wecom_server(f"{stage.url}/webhooks/wecom/{stage.wecom}")


@contextmanager
def theatre(database_url: str, redis_url: str, secret: str, folder: Path) -> Iterator[Stage]:
    """The product behind a real port, and a sandbox whose clock stands still."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with start(at=AT.timestamp(), frozen=True) as sandbox:
        hosts = {name.lower(): url for name, url in sandbox.hosts.items()}
        settings = Settings(
            database_url=database_url,
            ledger_redis_url=redis_url,
            queue_redis_url=redis_url,
            secret_key=secret,
            data_dir=folder,
            **hosts,
        )
        clock = SandboxClock(sandbox)
        parts = build_parts(settings, clock=clock)
        assert isinstance(parts.ids, Ids)
        server = make_server("127.0.0.1", 0, create_app(parts), threaded=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield Stage(parts, sandbox, f"http://127.0.0.1:{server.server_port}", "")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
            parts.close()


def raised(of: Stage) -> Stage:
    """A fresh merchant and fresh people on a stage that stands."""
    of.sandbox.reset()
    of.cast.clear()
    fresh = Stage(of.parts, of.sandbox, of.url, make_workspace(of.parts))
    connect(fresh)
    return fresh

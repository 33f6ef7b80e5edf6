"""A merchant's campaign inside WeChat, as phones without scripts see it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from flask import Flask
from werkzeug.test import TestResponse

from growth_engine.app import build_parts, create_app
from growth_engine.connections import service as connections
from growth_engine.connections.service import Entered
from growth_engine.context import Parts
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from growth_engine.people.rules import Identity
from growth_engine.plays import service as campaigns
from growth_engine.sandbox import Sandbox
from growth_engine.sandbox.handle import Person
from growth_engine.settings import Settings
from tests.conftest import SECRET
from tests.factories.phones import Phone, publish_campaign
from tests.factories.tills import SandboxClock
from tests.factories.workspaces import make_workspace

HERE = "http://localhost"
WECHAT = "Mozilla/5.0 (Linux; Android 15) MicroMessenger/8.0.55 Language/zh_CN"


@contextmanager
def serving(sandbox: Sandbox, pg_url: str, valkey_url: str, folder: Path) -> Iterator[Flask]:
    """The product at ``HERE``, where nobody listens: no notice of the platform ever arrives."""
    settings = Settings(
        database_url=pg_url,
        ledger_redis_url=valkey_url,
        queue_redis_url=valkey_url,
        secret_key=SECRET,
        data_dir=folder,
        public_url=HERE,
    )
    hosts: dict[str, Any] = {name.lower(): url for name, url in sandbox.hosts.items()}
    parts = build_parts(replace(settings, **hosts), SandboxClock(sandbox))
    parts.mirror.load_functions()
    app = create_app(parts)
    app.extensions["test.parts"] = parts
    try:
        yield app
    finally:
        parts.close()


class InsideWechat:
    """A merchant whose campaign is carried by the sandbox's Official Account."""

    def __init__(self, app: Flask, sandbox: Sandbox, *, template: str = "saas-membership") -> None:
        self.app, self.sandbox = app, sandbox
        self.parts: Parts = app.extensions["test.parts"]
        self.workspace = make_workspace(self.parts)
        known = sandbox.credentials["oa"]
        with self.parts.open(self.workspace) as ctx:
            self.account = connections.connect(
                ctx,
                "wechat_oa",
                Entered(
                    "Shop",
                    {"appid": known["appid"], "original_id": known["original_id"]},
                    {"mode": "safe"},
                    {"app_secret": known["secret"]},
                ),
            )
        sandbox.pages_of(HERE)
        self.id = publish_campaign(self.parts, self.workspace, template=template)

    def bind(self, account: str | None) -> None:
        with self.parts.open(self.workspace) as ctx:
            campaigns.update_draft(ctx, self.id, {"channel_account_id": account})

    def connect_wecom(self) -> str:
        """The sandbox's corporation; the account's id."""
        known = self.sandbox.credentials["wecom"]
        entered = Entered("Corp", {"corpid": known["corpid"]}, {}, {"secret": known["secret"]})
        with self.parts.open(self.workspace) as ctx:
            return connections.connect(ctx, "wecom", entered)

    def browser(self, agent: str = WECHAT, number: int = 1) -> Phone:
        phone = Phone(self.app, address=f"198.51.100.{number}")
        phone._base["headers"]["User-Agent"] = agent
        return phone

    def meet(self, who: Person, nickname: str) -> str:
        """Somebody the merchant knows by openid; their contact."""
        with self.parts.open(self.workspace) as ctx:
            return people_service.create_or_update(
                ctx, [("openid", who.openid())], nickname=nickname, source="test", proven=True
            ).contact_id

    def owner(self, who: Person) -> str | None:
        with self.parts.open(self.workspace) as ctx:
            return people.by_identity(ctx, Identity("openid", who.openid()))


def leaves(answer: TestResponse) -> str:
    """The address at WeChat that a page leads to."""
    assert answer.status_code == 302, answer.status_code
    return answer.headers["Location"].partition("#")[0]


def consented(address: str, who: Person, answer: str = "") -> str:
    """WeChat's page sends the browser back; the path and query on our side."""
    more = f"&_answer={answer}" if answer else ""
    found = httpx.get(f"{address}{more}", cookies={"sandbox_person": who.id}, follow_redirects=False)
    assert found.status_code == 302, found.text
    where = urlsplit(found.headers["location"])
    assert f"{where.scheme}://{where.netloc}" == HERE
    return f"{where.path}?{where.query}"


def sign_in(phone: Phone, page: str, who: Person) -> TestResponse:
    """Open a page as somebody inside WeChat; what the way back leads to."""
    return phone.get(consented(leaves(phone.get(page)), who))

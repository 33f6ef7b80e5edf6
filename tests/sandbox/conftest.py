"""A fresh sandbox for every test, its clock standing still, and an application that takes its callbacks."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import qrcode
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpy.enterprise.crypto import WeChatCrypto as CorpCrypto

from growth_engine.sandbox import Sandbox, start
from tests.sandbox.application import Application, Received

HTTP = httpx.Client(trust_env=False, verify=False, timeout=30)
"""One client for all tests: making one reads every certificate of the machine."""

AT = 1_795_000_000
"""18 November 2026, 19:06 in Shanghai."""


@pytest.fixture(scope="session", autouse=True)
def _closed() -> Iterator[None]:
    yield
    HTTP.close()


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with start(at=AT, frozen=True) as running:
        yield running


@pytest.fixture
def application() -> Iterator[Application]:
    made = Application()
    yield made
    made.stop()


class Api:
    """Calls with an access_token."""

    def __init__(self, base: str, token: Callable[[], str]) -> None:
        self.base = base
        self._token = token

    @property
    def token(self) -> str:
        """A good one at every moment: the clock may have been moved by days."""
        return self._token()

    def get(self, path: str, **params: Any) -> Any:
        params = {"access_token": self.token, **params}
        return HTTP.get(self.base + path, params=params).json()

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        params = {"access_token": self.token, **params}
        return HTTP.post(self.base + path, params=params, json=body).json()

    def upload(self, kind: str, content: bytes, name: str = "media", filename: str | None = "a.jpg") -> Any:
        params = {"access_token": self.token, "type": kind}
        files = {name: (filename, content)} if filename else {name: ("", content)}
        return HTTP.post(self.base + "/cgi-bin/media/upload", params=params, files=files).json()


def picture_of(text: str) -> bytes:
    """A QR code as PNG, as a poster would carry it."""
    out = io.BytesIO()
    qrcode.make(text).get_image().resize((400, 400)).save(out, "PNG")
    return out.getvalue()


def stable_token(sandbox: Sandbox, **changes: Any) -> Any:
    known = sandbox.credentials["oa"]
    body = {"grant_type": "client_credential", "appid": known["appid"], "secret": known["secret"], **changes}
    return HTTP.post(sandbox.oa_url + "/cgi-bin/stable_token", json=body).json()


@pytest.fixture
def oa(sandbox: Sandbox) -> Api:
    return Api(sandbox.oa_url, lambda: str(stable_token(sandbox)["access_token"]))


@pytest.fixture
def wecom(sandbox: Sandbox) -> Api:
    known = sandbox.credentials["wecom"]
    params = {"corpid": known["corpid"], "corpsecret": known["secret"]}
    url = sandbox.wecom_url + "/cgi-bin/gettoken"
    return Api(sandbox.wecom_url, lambda: str(HTTP.get(url, params=params).json()["access_token"]))


@pytest.fixture
def client(sandbox: Sandbox, application: Application) -> WeChatPay:
    """The peer: ``wechatpayv3`` turned to the sandbox. It signs with the wall's time."""
    sandbox.options(signature_clock="wall")
    known = sandbox.credentials["pay"]
    made = WeChatPay(
        wechatpay_type=WeChatPayType.JSAPI,
        mchid=known["mchid"],
        private_key=known["merchant_private_key"],
        cert_serial_no=known["merchant_serial"],
        apiv3_key=known["api_v3_key"],
        appid=known["appid"],
        notify_url=application.url + "/pay",
        public_key=known["public_key"],
        public_key_id=known["public_key_id"],
    )
    made._core._gate_way = sandbox.pay_url
    return made


@pytest.fixture
def told(sandbox: Sandbox, application: Application) -> Application:
    """An application that passes the check as WeCom wants it, with wechatpy's crypto."""

    known = sandbox.credentials["wecom"]
    crypto: Any = CorpCrypto(known["token"], known["encoding_aes_key"], known["corpid"])

    def verify(got: Received) -> tuple[int, bytes]:
        query = got.query
        echo = crypto.check_signature(
            query["msg_signature"], query["timestamp"], query["nonce"], query["echostr"]
        )
        return 200, echo.encode() if isinstance(echo, str) else echo

    application.verify = verify
    sandbox.wecom_server(application.url + "/wecom")
    return application


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What tries the sandbox alone takes a minute, and changes only with the sandbox."""
    for item in items:
        if "tests/sandbox/" in item.nodeid:
            item.add_marker(pytest.mark.protocol)

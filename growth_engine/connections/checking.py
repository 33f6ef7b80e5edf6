"""Try an account's credentials against its platform, and fetch what the platform's own keys are now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from growth_engine.channels.contract import Hosts
from growth_engine.channels.errors import ChannelError
from growth_engine.channels.protocol.pay_crypto import PUBLIC_KEY_PREFIX
from growth_engine.channels.wechat_oa.client import OfficialAccount
from growth_engine.channels.wechat_pay.client import WechatPay
from growth_engine.channels.wecom.client import Wecom
from growth_engine.channels.wire import Gear
from growth_engine.connections import credentials, queries, service
from growth_engine.connections.queries import Connection
from growth_engine.context import Parts
from growth_engine.kit.errors import GrowthError
from growth_engine.settings import Settings


def hosts_of(settings: Settings) -> Hosts:
    return Hosts(
        wx_api=settings.wx_api_base,
        wx_mp=settings.wx_mp_base,
        wx_open=settings.wx_open_base,
        wecom_api=settings.wecom_api_base,
        wxpay_api=settings.wxpay_api_base,
    )


def check(parts: Parts, workspace_id: str, account_id: str) -> str | None:
    """Make one harmless call with the account's credentials; what is wrong (``reason: number`` where the
    platform said no, a sentence where a key cannot be read), or None.

    A merchant that still has platform certificates gets them fetched as well. No transaction is open
    while the platform is asked.
    """
    with parts.open(workspace_id) as ctx:
        connection = queries.connection(ctx, account_id)
    fetched: tuple[tuple[str, str], ...] = ()
    try:
        with _gear(parts) as gear:
            _call(connection, gear)
            if needs_certificates(connection):
                client = WechatPay(credentials.pay(connection), gear)
                client.refresh_certificates()
                fetched = tuple(
                    (serial, _pem(key)) for serial, key in client.platform_keys().by_serial.items()
                )
        error = None
    except ChannelError as refused:
        error = f"{refused.reason.value}: {refused.number}" if refused.number else refused.reason.value
    except GrowthError as unusable:  # a key that cannot even be read
        error = str(unusable)
    with parts.open(workspace_id) as ctx:
        service.note_check(ctx, account_id, error)
        if fetched:
            service.learn_platform_keys(ctx, account_id, fetched)
    return error


def needs_certificates(connection: Connection) -> bool:
    """A merchant in certificate mode, or in the middle of leaving it."""
    if connection.provider != "wechat_pay":
        return False
    serials = [serial for serial, _ in connection.platform_keys]
    return not serials or any(not serial.startswith(PUBLIC_KEY_PREFIX) for serial in serials)


def _call(connection: Connection, gear: Gear) -> None:
    calls: dict[str, Callable[[], None]] = {
        "wechat_oa": lambda: OfficialAccount(credentials.official_account(connection), gear).check(),
        "wecom": lambda: Wecom(credentials.wecom(connection), gear).check(),
        "wechat_pay": lambda: WechatPay(credentials.pay(connection), gear).check(),
    }
    calls[connection.provider]()


def _pem(key: RSAPublicKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(serialization.Encoding.PEM, form).decode()


@contextmanager
def _gear(parts: Parts) -> Iterator[Gear]:
    gear = Gear(queue=parts.queue, clock=parts.clock, ids=parts.ids, hosts=hosts_of(parts.settings))
    try:
        yield gear
    finally:
        gear.close()

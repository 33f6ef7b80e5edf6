"""A connected account as the clients of ``channels`` need it."""

from __future__ import annotations

from growth_engine.channels.contract import (
    OfficialAccountCredentials,
    PayCredentials,
    PlatformKey,
    WecomCredentials,
)
from growth_engine.connections.queries import Connection


def official_account(of: Connection) -> OfficialAccountCredentials:
    return OfficialAccountCredentials(
        account_id=of.id, app_id=of.ids["appid"], app_secret=of.present("app_secret")
    )


def wecom(of: Connection) -> WecomCredentials:
    return WecomCredentials(
        account_id=of.id,
        corp_id=of.ids["corpid"],
        secret=of.present("secret"),
        agent_id=of.ids.get("agentid", ""),
    )


def pay(of: Connection) -> PayCredentials:
    return PayCredentials(
        account_id=of.id,
        mch_id=of.ids["mchid"],
        app_id=of.ids["appid"],
        serial_no=of.ids["serial_no"],
        private_key_pem=of.present("private_key"),
        api_v3_key=of.present("api_v3_key"),
        platform_keys=tuple(PlatformKey(serial, pem) for serial, pem in of.platform_keys),
    )

"""What a fresh sandbox holds: one account of each kind with credentials to copy, and a few people."""

from __future__ import annotations

import datetime as dt
from functools import cache

from growth_engine.sandbox import paycrypto, people
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import seed as wecom_seed
from growth_engine.sandbox.world import World

APPID = "wx5a4d9b0c3e7f1268"
ORIGINAL_ID = "gh_5a4d9b0c3e7f"
SECRET = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"  # noqa: S105 - it opens nothing but a sandbox
TOKEN = "sandboxtoken"  # noqa: S105
ENCODING_AES_KEY = "sandboxSANDBOXsandboxSANDBOXsandboxSANDBOXs"
MCHID = "1600000001"
API_V3_KEY = "sandbox-api-v3-key-of-32-letters"
PUBLIC_KEY_ID = "PUB_KEY_ID_0116000000012026010100111100002026"
MERCHANT_SERIAL = 0x5157F09EFDC096DE15EBE81A47057A7232F1B8E1
PLATFORM_SERIAL = 0x7132D72A03E93CDDF8C03BBD1F37EEDF5A1B2C3D
FIRST_PEOPLE = ("林小满", "周子墨", "陈思远", "Ada")


@cache
def _keys() -> tuple[str, str, str]:
    """Three private keys, made once a process: it takes the better part of a second."""
    return paycrypto.new_key(), paycrypto.new_key(), paycrypto.new_key()


def sow(world: World) -> None:
    """Fill an empty sandbox."""
    with world.open():
        world.store.put("oa.accounts", APPID, official_account())
        world.store.put("pay.merchants", MCHID, merchant(world))
        wecom_seed.sow(world)
        for nickname in FIRST_PEOPLE:
            people.make(world, nickname)


def official_account() -> Doc:
    return {
        "appid": APPID,
        "secret": SECRET,
        "secret_frozen": False,
        "original_id": ORIGINAL_ID,
        "name": "增长引擎服务号",
        "kind": "service",
        "bound_union": True,
        "token": TOKEN,
        "encoding_aes_key": ENCODING_AES_KEY,
        "mode": "safe",
        "format": "xml",
        "callback_url": "",
        "oauth_domains": ["127.0.0.1:8000", "localhost:8000"],
        "js_domains": ["127.0.0.1:8000", "localhost:8000"],
        "ip_whitelist": [],
        "daily_quota": {},
        "template_daily": 100_000,
        "templates": [
            _template(
                "sandbox-progress-0000000000000000000000000", "活动进度通知", thing1="活动", thing2="进度"
            ),
            _template(
                "sandbox-reward-000000000000000000000000000", "奖励到账通知", thing1="奖励", time2="时间"
            ),
            _template(
                "sandbox-friend-000000000000000000000000000", "好友加入通知", thing1="好友", thing2="说明"
            ),
        ],
    }


def _template(template_id: str, title: str, **words: str) -> Doc:
    return {"template_id": template_id, "title": title, "words": words}


def merchant(world: World) -> Doc:
    own, public_key, platform = _keys()
    at = dt.datetime.fromtimestamp(world.now(), dt.UTC) - dt.timedelta(days=1)
    return {
        "mchid": MCHID,
        "name": "增长引擎商户",
        "appids": [APPID],
        "api_v3_key": API_V3_KEY,
        "serial": f"{MERCHANT_SERIAL:X}",
        "private": own,
        "public_key": paycrypto.public_pem(own),
        "certificate": paycrypto.certificate(own, MERCHANT_SERIAL, MCHID, at),
        "mode": "public_key",
        "public_key_share": 50,
        "public_key_id": PUBLIC_KEY_ID,
        "public_key_private": public_key,
        "public_key_public": paycrypto.public_pem(public_key),
        "platform_serial": f"{PLATFORM_SERIAL:X}",
        "platform_private": platform,
        "platform_certificate": paycrypto.certificate(platform, PLATFORM_SERIAL, "Tenpay.com sandbox", at),
        "balance": 10_000_000,
        "ip_whitelist": [],
        "transfer_scenes": {
            "1000": {"least": 10, "most": 20_000},
            "1005": {"least": 10, "most": 500_000},
        },
        "transfer_person_daily": 2_000_000,
    }


def credentials(world: World) -> Doc:
    """What the application is configured with."""
    account = next(iter(world.store.all("oa.accounts").values()))
    merchant_doc = next(iter(world.store.all("pay.merchants").values()))
    names = ("appid", "secret", "original_id", "token", "encoding_aes_key", "mode", "format")
    return {
        "oa": {name: account[name] for name in names},
        "wecom": wecom_seed.credentials(world),
        "pay": {
            "mchid": merchant_doc["mchid"],
            "appid": merchant_doc["appids"][0],
            "api_v3_key": merchant_doc["api_v3_key"],
            "merchant_serial": merchant_doc["serial"],
            "merchant_private_key": merchant_doc["private"],
            "public_key_id": merchant_doc["public_key_id"],
            "public_key": merchant_doc["public_key_public"],
            "platform_serial": merchant_doc["platform_serial"],
            "platform_certificate": merchant_doc["platform_certificate"],
            "mode": merchant_doc["mode"],
        },
        "hosts": hosts(world),
    }


def hosts(world: World) -> dict[str, str]:
    """The settings that turn an application to this sandbox (section 0.1)."""
    return {
        "WX_API_BASE": world.urls["oa"],
        "WX_MP_BASE": world.urls["oa"],
        "WX_OPEN_BASE": world.urls["oa"],
        "WECOM_API_BASE": world.urls["wecom"],
        "WXPAY_API_BASE": world.urls["pay"],
    }

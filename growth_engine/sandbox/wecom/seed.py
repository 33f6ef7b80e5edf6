"""A fresh corporation: its credentials, its employees, one customer group."""

from __future__ import annotations

from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World

CORPID = "ww5a4d9b0c3e7f1268"
SECRET = "sandbox-contact-secret-000000000000000000000"  # noqa: S105 - it opens nothing but a sandbox
TOKEN = "sandboxwecomtoken"  # noqa: S105
ENCODING_AES_KEY = "wecomSANDBOXwecomSANDBOXwecomSANDBOXwecom08"
EMPLOYEES = {"ZhangSan": "张三", "LiSi": "李四", "WangWu": "王五", "ZhaoLiu": "赵六"}
#: A member without real-name verification: contact ways for such a one are refused (41054).
UNVERIFIED = "ZhaoLiu"


def sow(world: World) -> None:
    world.store.put("wecom.corps", CORPID, corporation())
    for userid, name in EMPLOYEES.items():
        employee = {
            "userid": userid,
            "name": name,
            "active": userid != UNVERIFIED,
            "left_at": 0,
            "console_welcome": False,
        }
        world.store.put("wecom.employees", f"{CORPID}/{userid}", employee)


def corporation() -> Doc:
    return {
        "corpid": CORPID,
        "name": "增长引擎有限公司",
        "secret": SECRET,
        "appid": "",
        "token": TOKEN,
        "encoding_aes_key": ENCODING_AES_KEY,
        "callback_url": "",
        "callback_agent": "",
        "developer_bound": True,
        "ip_whitelist": [],
        "group_capacity": 200,
        "half_then_full": True,
        "accept_seconds": 1.0,
        "acquisition_quota": 100,
    }


def credentials(world: World) -> Doc:
    corp = next(iter(world.store.all("wecom.corps").values()))
    return {name: corp[name] for name in ("corpid", "secret", "token", "encoding_aes_key")}

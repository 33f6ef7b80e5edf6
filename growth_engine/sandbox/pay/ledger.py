"""The merchant's money at WeChat Pay: a balance and the lines the fund-flow bill is made of."""

from __future__ import annotations

from growth_engine.sandbox.pay.service import PayRefused
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World


def move(world: World, mchid: str, fen: int, kind: str, number: str, memo: str) -> None:
    """Book ``fen`` into the balance (out of it below zero); NOT_ENOUGH when it would go below nothing."""
    merchant = world.store.get("pay.merchants", mchid)
    assert merchant is not None
    if merchant["balance"] + fen < 0:
        raise PayRefused("NOT_ENOUGH", "商户账户余额不足")
    merchant["balance"] += fen
    world.store.put("pay.merchants", mchid, merchant)
    line = world.store.next(f"pay/{mchid}/funds")
    world.store.put(
        "pay.funds",
        f"{mchid}/{line:010}",
        {
            "at": world.now(),
            "fen": fen,
            "kind": kind,
            "number": number,
            "memo": memo,
            "balance": merchant["balance"],
        },
    )


def lines_of(world: World, mchid: str) -> list[Doc]:
    return list(world.store.all("pay.funds", f"{mchid}/").values())

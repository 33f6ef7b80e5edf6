"""Changing accounts as one does in the platforms' consoles, with the checks those make."""

from __future__ import annotations

from growth_engine.sandbox import envelope, faults
from growth_engine.sandbox.oa import callbacks as oa_callbacks
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.wecom import callbacks as wecom_callbacks
from growth_engine.sandbox.world import World

#: What may not be changed afterwards.
_FIXED = frozenset({"appid", "corpid", "mchid", "original_id"})


class NotAccepted(ValueError):
    """The console does not save this; the message says why."""


def official_account(world: World, appid: str, changes: Doc) -> Doc:
    """Save an account's settings; a new callback address has to answer the GET check first."""
    account = _changed(world, "oa.accounts", appid, changes)
    if account["mode"] not in oa_callbacks.MODES or account["format"] not in oa_callbacks.FORMS:
        raise NotAccepted("mode must be plain, compatible or safe, format xml or json")
    _check_key(account)
    if changes.get("callback_url"):
        problem = oa_callbacks.verify_address(world, account, account["callback_url"])
        if problem:
            raise NotAccepted(f"请求URL超时或token验证失败: {problem}")
    with world.open():
        return world.store.put("oa.accounts", appid, account)


def corporation(world: World, corpid: str, changes: Doc) -> Doc:
    corp = _changed(world, "wecom.corps", corpid, changes)
    _check_key(corp)
    if changes.get("callback_url"):
        problem = wecom_callbacks.verify_address(world, corp, corp["callback_url"])
        if problem:
            raise NotAccepted(f"openapi回调地址请求不通过: {problem}")
    with world.open():
        return world.store.put("wecom.corps", corpid, corp)


def merchant(world: World, mchid: str, changes: Doc) -> Doc:
    found = _changed(world, "pay.merchants", mchid, changes)
    if found["mode"] not in ("public_key", "certificate", "both"):
        raise NotAccepted("mode must be public_key, certificate or both")
    with world.open():
        return world.store.put("pay.merchants", mchid, found)


def _changed(world: World, shelf: str, key: str, changes: Doc) -> Doc:
    found = world.store.get(shelf, key)
    if found is None:
        raise NotAccepted(f"there is no {key}")
    unknown = (changes.keys() - found.keys()) | (changes.keys() & _FIXED)
    if unknown:
        raise NotAccepted(f"{sorted(unknown)[0]} cannot be set")
    return found | changes


def _check_key(account: Doc) -> None:
    try:
        envelope.key_of(account["encoding_aes_key"])
    except envelope.BadEnvelope as error:
        raise NotAccepted(str(error)) from error


def reset(world: World) -> None:
    """Forget people, messages, orders and faults; keep the accounts as they are configured."""
    kept = {shelf: world.store.all(shelf) for shelf in ("oa.accounts", "wecom.corps", "pay.merchants")}
    from growth_engine.sandbox import seed

    with world.open():
        faults.clear(world)
        world.store.clear()
        seed.sow(world)
        for shelf, docs in kept.items():
            for key, doc in docs.items():
                world.store.put(shelf, key, doc)

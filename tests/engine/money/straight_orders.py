"""The second engine's decisions about a campaign: people, orders, money for them, commissions, promoters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.engine.money.arithmetic import Line, Party
from tests.engine.money.straight_line import Draft, Engine, Facts, Made

Decision = Callable[[Engine, Facts, datetime, Made, Draft], None]


def _about(e: Engine, number: int, draft: Draft, **more: Any) -> dict[str, Any]:
    member = e.members[number]
    draft.member = number
    draft.result = {"participant_id": member["id"], "contact_id": member["contact"], **more}
    return member


# -- people ---------------------------------------------------------------------------------------------


def join(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    number = e.member_of(made.contact) if made.contact else None
    if number is not None:
        _join_again(e, number, facts, at, draft)
        return
    token = facts.get("invite_token")
    inviter = e.by_token.get(token or "", 0)
    standing = e.members[inviter]["state"] if inviter else ""
    number, parent = len(e.members) + 1, 0 if standing == "blocked" else inviter
    e.members[number] = {
        "id": made.participant,
        "contact": made.contact,
        "inviter": parent,
        "state": "active",
        "cohort": e.today(at),
        "joined_at": at,
        "score": 0,
    }
    e.by_token[made.token] = number
    _about(e, number, draft, enrolled=True)
    draft.ops += [["m", number, parent, e.today(at)], ["f", "joined", 1]]
    e.touch(number, token, at, draft)
    if token is None:
        return
    refusal = {"": "unknown_invite", "blocked": "inviter_blocked", "left": "inviter_left"}.get(standing)
    if refusal:
        draft.refuse(refusal)
        if inviter:
            draft.other = inviter
            e.edges.setdefault(number, {})[inviter] = "refused"
        return
    draft.other = inviter
    e.edges.setdefault(number, {})[inviter] = "valid"
    _score(e, inviter, 1, draft)


def _join_again(e: Engine, number: int, facts: Facts, at: datetime, draft: Draft) -> None:
    member, token = _about(e, number, draft), facts.get("invite_token")
    if member["state"] == "blocked":
        draft.refuse("blocked")
    elif member["state"] == "left":
        member["state"] = "active"
        draft.ops += [["r", number], ["f", "returned", 1]]
        draft.say("came_back")
        _restore(e, number, "left", draft)
    else:
        if token:
            e.touch(number, token, at, draft)
        draft.refuse("already_joined")
        inviter = e.by_token.get(token or "", 0)
        if token and not inviter:
            draft.refuse("unknown_invite")
        elif inviter == number:
            draft.refuse("self_invite")
        elif inviter and number in _above(e, inviter):
            draft.refuse("loop")


def _above(e: Engine, number: int) -> set[int]:
    found = set()
    while number := e.members[number]["inviter"]:
        found.add(number)
    return found


def _score(e: Engine, inviter: int, delta: int, draft: Draft) -> None:
    member = e.members[inviter]
    before, member["score"] = member["score"], member["score"] + delta
    draft.ops += [["s", inviter, delta, member["cohort"]], ["f", "helped", delta]]
    if min(before, member["score"]) == 0:
        draft.ops.append(["f", "inviters", delta])


def _restore(e: Engine, number: int, state: str, draft: Draft) -> None:
    for inviter, standing in e.edges.get(number, {}).items():
        if standing == state:
            e.edges[number][inviter] = "valid"
            draft.other = inviter
            _score(e, inviter, 1, draft)


def _withdraw(e: Engine, number: int, state: str, draft: Draft) -> None:
    for inviter, standing in e.edges.get(number, {}).items():
        if standing == "left" and state == "void":
            e.edges[number][inviter] = "void"
        elif standing == "valid":
            e.edges[number][inviter] = state
            draft.other = inviter
            _score(e, inviter, -1, draft)


def leave(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del at, made
    if (number := _named(e, facts, draft)) is None:
        return
    member = _about(e, number, draft)
    if member["state"] != "active":
        draft.refuse(member["state"])
        return
    member["state"] = "left"
    draft.ops += [["l", number], ["f", "left", 1]]
    draft.say("left")
    _withdraw(e, number, "left", draft)


def block(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del at, made
    if (number := _named(e, facts, draft)) is None:
        return
    member = _about(e, number, draft)
    if member["state"] == "blocked":
        draft.refuse("blocked")
        return
    draft.ops += [["r", number]] if member["state"] == "left" else []
    draft.ops.append(["b", number])
    member["state"] = "blocked"
    draft.say(facts.get("reason", "by_hand"))
    _withdraw(e, number, "void", draft)


def unblock(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del at, made
    if (number := _named(e, facts, draft)) is None:
        return
    member = _about(e, number, draft)
    if member["state"] != "blocked":
        draft.refuse("already_joined")
        return
    member["state"] = "active"
    draft.ops.append(["u", number])
    draft.say("unblocked")
    _restore(e, number, "void", draft)


def _named(e: Engine, facts: Facts, draft: Draft) -> int | None:
    number = e.member_of(facts["contact_id"])
    if number is None:
        draft.refuse("not_taking_part")
    return number


# -- orders ---------------------------------------------------------------------------------------------


def order(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    if (number := _named(e, facts, draft)) is None:
        return
    member, config = _about(e, number, draft), e.world.config
    if problem := _order_problem(e, facts, number):
        draft.refuse(problem[0], **problem[1])
        return
    _take(e, _wanted(facts["lines"]), 1)
    promoter = e.touch(number, facts.get("invite_token"), at, draft, ordering=True)
    lines = [
        Line(
            one["sku"],
            one["quantity"],
            one.get("amount", e.world.goods[one["sku"]]["price"] * one["quantity"]),
        )
        for one in facts["lines"]
    ]
    total = sum(line.amount for line in lines)
    placed = {
        "id": made.order, "buyer": number, "contact": member["contact"], "promoter": promoter,
        "currency": config["currency"], "total": total, "paid": 0, "refunded": 0, "state": "placed", "fee": 0,
        "fee_bp": e.world.fee_bp, "version": e.world.version, "lines": lines, "shares": [], "periods": None,
        "back": False,
    }  # fmt: skip
    e.orders[made.order] = placed
    draft.other = promoter or None
    draft.result |= {"order_id": made.order, "total": total}
    draft.ops.append(["f", "ordered", 1])
    if promoter:
        e.seller(promoter)
    upline = e.members[promoter]["inviter"] if promoter else 0
    parties: list[Party | None] = [e.party(one) if one else None for one in (number, promoter, upline)]
    assert parties[0] is not None
    pinned, said = e.rule.pin(config, made.order, lines, parties[0], parties[1], parties[2])
    for code, params in said:
        draft.say(code, **params)
    for level, earner, kept in pinned:
        e.seller(earner)
        share = {
            "id": made.commissions[level], "order": made.order, "level": level, "member": earner,
            "contact": e.members[earner]["contact"], "kept": kept, "ever": 0, "target": 0, "pending": 0,
            "matured": 0, "state": "waiting", "hold_until": None, "hold_days": config["hold_days"],
            "clawback": config["clawback"], "periods": None,
        }  # fmt: skip
        placed["shares"].append(share)
        e.shares[share["id"]] = share


def _order_problem(e: Engine, facts: Facts, number: int) -> tuple[str, dict[str, Any]] | None:
    member, currency, wanted = e.members[number], e.world.config["currency"], dict[str, int]()
    if member["state"] == "blocked" or e.merged.get(member["contact"], member["contact"]) in e.blocked:
        return "blocked", {}
    if facts["currency"] != currency:
        return "currency_mismatch", {"given": facts["currency"], "wanted": currency}
    for line in facts["lines"]:
        good = e.world.goods.get(line["sku"])
        if good is None:
            return "unknown_product", {"sku": line["sku"]}
        if not good["on_sale"]:
            return "hidden_product", {"name": good["name"]}
    if any(_left(e, line["sku"]) is not None for line in facts["lines"]):
        mine = [
            one for one in e.orders.values()
            if one["buyer"] == number and one["state"] == "placed" and not one["paid"]
        ]  # fmt: skip
        pieces = sum(sum(_wanted(one["lines"]).values()) for one in mine)
        if 0 < e.world.config["unpaid_orders"] <= len(mine):
            return "too_many_unpaid", {"most": e.world.config["unpaid_orders"]}
        if 0 < e.world.config["unpaid_pieces"] < pieces + sum(line["quantity"] for line in facts["lines"]):
            return "too_many_reserved", {"most": e.world.config["unpaid_pieces"]}
    for line in facts["lines"]:
        sku = line["sku"]
        wanted[sku] = wanted.get(sku, 0) + line["quantity"]
        left = _left(e, sku)
        if left is not None and left < wanted[sku]:
            return "out_of_stock", {"name": e.world.goods[sku]["name"], "left": left}
    return None


def _wanted(lines: Any) -> dict[str, int]:
    wanted: dict[str, int] = {}
    for line in lines:
        sku, quantity = (
            (line.sku, line.quantity) if isinstance(line, Line) else (line["sku"], line["quantity"])
        )
        wanted[sku] = wanted.get(sku, 0) + quantity
    return wanted


def _left(e: Engine, sku: str) -> int | None:
    stock = e.world.goods[sku]["stock"]
    return None if stock is None else stock - e.taken.get(sku, 0)


def _take(e: Engine, wanted: Mapping[str, int], sign: int) -> None:
    for sku, quantity in wanted.items():
        if e.world.goods[sku]["stock"] is not None:
            e.taken[sku] = max(0, e.taken.get(sku, 0) + sign * quantity)


def _known_order(e: Engine, facts: Facts, draft: Draft) -> dict[str, Any] | None:
    found = e.orders.get(facts["order_id"])
    if found is None:
        draft.refuse("order_unknown")
        return None
    draft.version, draft.member, draft.other = found["version"], found["buyer"], found["promoter"] or None
    draft.result = {"order_id": found["id"]}
    return found


def payment(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del made
    found = _known_order(e, facts, draft)
    if found is None:
        return
    amount, due = facts["amount"], found["total"] - found["paid"]
    if facts["currency"] != found["currency"]:
        draft.refuse("currency_mismatch", given=facts["currency"], wanted=found["currency"])
    elif amount > due:
        draft.refuse("overpaid", due=due, currency=found["currency"])
    else:
        if found["state"] == "cancelled" or found["back"]:
            _put_on_again(e, found, draft)
        before = _net(found)
        if not found["paid"]:
            draft.ops.append(["f", "paid", 1])
        found["paid"] += amount
        _value(e, found, before, at, draft)


def _put_on_again(e: Engine, found: dict[str, Any], draft: Draft) -> None:
    found["state"], found["back"] = "placed", False
    for sku, quantity in _wanted(found["lines"]).items():
        left = _left(e, sku)
        if left is not None and left < quantity:
            draft.say("sold_out_paid")
            quantity = left
        _take(e, {sku: quantity}, 1)


def refund(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del made
    found = _known_order(e, facts, draft)
    if found is None:
        return
    amount, left = facts["amount"], found["total"] - found["refunded"]
    if facts["currency"] != found["currency"]:
        draft.refuse("currency_mismatch", given=facts["currency"], wanted=found["currency"])
    elif amount > left:
        draft.refuse("refund_too_large", left=left, currency=found["currency"])
    else:
        before = _net(found)
        if not found["refunded"]:
            draft.ops.append(["f", "refunded", 1])
        found["refunded"] += amount
        _value(e, found, before, at, draft)
        if facts.get("restock") and not found["back"] and found["state"] != "cancelled":
            pieces = _wanted(found["lines"])
            if found["state"] == "refunded" and found["paid"] and not _net(found):
                found["back"] = True
                _take(e, pieces, -1)
                draft.say("restocked", pieces=sum(pieces.values()))
            else:
                draft.say("not_restocked")


def cancel(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del made, at
    found = _known_order(e, facts, draft)
    if found is None:
        return
    if found["state"] == "cancelled":
        draft.refuse("order_cancelled")
    elif found["state"] != "placed" or found["paid"]:
        draft.refuse("order_paid")
    else:
        found["state"] = "cancelled"
        _take(e, _wanted(found["lines"]), -1)
        draft.say(facts.get("reason", "cancelled"))


def _net(found: Mapping[str, Any]) -> int:
    return max(0, int(found["paid"]) - int(found["refunded"]))


def _value(e: Engine, found: dict[str, Any], before: int, at: datetime, draft: Draft) -> None:
    """Say what an order's shares are worth now, and move what differs."""
    net = _net(found)
    if found["paid"]:
        done = "paid" if found["paid"] == found["total"] else "placed"
        found["state"] = "refunded" if net == 0 else done
    if net != before:
        draft.ops.append(["v", found["buyer"], net - before])
        e.seller(found["buyer"])["spent"] += net - before
    if found["promoter"]:
        row = e.seller(found["promoter"])
        row["sales"] += net - before
        row["orders"] += (net > 0) - (before > 0)
    fee = net * found["fee_bp"] // 10_000
    draft.currency = found["currency"]
    if fee != found["fee"]:
        _legs(
            draft,
            ["fee", "", found["fee"] - fee, found["id"]],
            ["platform", "", fee - found["fee"], found["id"]],
        )
        found["fee"] = fee
    found["live"] = [share for share in found["shares"] if share["state"] != "void"]
    found["periods"] = found["periods"] or e.periods(at)
    used = {share["member"]: dict(e.seller(share["member"])["usage"]) for share in found["live"]}
    targets, said = e.rule.worth(e.world.config, found, net, used)
    for code, params in said:
        draft.say(code, **params)
    for share, target in zip(found["live"], targets, strict=True):
        _set(e, share, target, found, at, draft)
    if not any(share["periods"] for share in found["shares"]):
        found["periods"] = None  # nothing was earned yet: the order counts for no period


# -- commissions ----------------------------------------------------------------------------------------


def _legs(draft: Draft, *legs: list[Any]) -> None:
    draft.legs += legs


def _set(
    e: Engine, share: dict[str, Any], target: int, found: Mapping[str, Any], at: datetime, draft: Draft
) -> None:
    delta, ref, owner = target - share["target"], share["id"], str(share["member"])
    about = {"member": share["member"], "level": share["level"], "currency": found["currency"]}
    if delta > 0:
        share["pending"] += delta
        share["ever"] += delta
        share["hold_until"] = at + timedelta(days=share["hold_days"])
        share["periods"] = share["periods"] or found["periods"]
        _legs(draft, ["expense", "", -delta, ref], ["pending", owner, delta, ref])
        draft.say("earned", **about, amount=delta)
    elif delta < 0:
        held = min(-delta, share["pending"])
        rest = -delta - held
        if held:
            share["pending"] -= held
            _legs(draft, ["pending", owner, -held, ref], ["expense", "", held, ref])
        if rest:
            share["matured"] -= rest
            _legs(draft, ["wallet", "", -rest, ref], ["expense", "", rest, ref])
            _from_wallet(e, share, rest, about, draft)
        draft.say("taken_back", **about, amount=-delta)
    if delta:
        share["target"] = target
        draft.ops.append(["e", share["member"], delta])
        row = e.seller(share["member"])
        row["earned"] += delta
        _count(row["usage"], share["periods"], delta)
    if share["state"] == "void" or (share["state"] == "held" and share["pending"]):
        return
    if share["pending"] or share["matured"]:
        share["state"] = "pending" if share["pending"] else "matured"
    elif share["state"] != "waiting":
        share["state"] = "reversed"


def _count(usage: dict[str, int], periods: list[str], delta: int) -> None:
    """All, and the last two months and days in which anything was counted."""
    for period in periods:
        alike = sorted(one for one in usage if len(one) == len(period))
        if period not in usage and len(alike) >= 2 and period < alike[0]:
            continue
        usage[period] = usage.get(period, 0) + delta
        for old in sorted({*alike, period})[:-2]:
            if old != "all":
                del usage[old]


def _from_wallet(e: Engine, share: dict[str, Any], amount: int, about: Facts, draft: Draft) -> None:
    contact = share["contact"]
    there = e.balance("available", contact, draft.currency)
    there += sum(leg[2] for leg in draft.wallet_legs if leg[:2] == ["available", contact])
    short = amount - min(amount, max(0, there))
    campaign = e.world.campaign
    draft.wallet_legs += [
        ["available", contact, -amount, share["id"]],
        ["campaign", campaign, amount, share["id"]],
    ]
    if short and share["clawback"] == "absorb":
        draft.wallet_legs += [
            ["available", contact, short, share["id"]],
            ["absorbed", campaign, -short, share["id"]],
        ]
        draft.say("absorbed", **about, amount=short)


def mature(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del at, made
    cutoff = datetime.fromisoformat(facts["cutoff"])
    due = [
        share for share in e.shares.values() if share["state"] == "pending" and share["hold_until"] <= cutoff
    ]
    due = [
        share
        for share in due
        if e.members[share["member"]]["state"] != "blocked"
        and e.seller(share["member"])["state"] != "blocked"
    ]
    due.sort(key=lambda share: (share["hold_until"], share["id"]))
    _go_over(e, due[: facts["limit"]], draft)


def _go_over(e: Engine, due: list[dict[str, Any]], draft: Draft) -> None:
    if not due:
        draft.refuse("nothing_due")
        return
    draft.currency = e.world.config["currency"]
    total = 0
    for share in due:
        amount = share["pending"]
        _legs(draft, ["pending", str(share["member"]), -amount, share["id"]])
        draft.wallet_legs.append(["available", share["contact"], amount, share["id"]])
        share["pending"], share["matured"], share["state"] = 0, share["matured"] + amount, "matured"
        total += amount
    _legs(draft, ["wallet", "", total, ""])
    draft.wallet_legs.append(["campaign", e.world.campaign, -total, ""])
    draft.say("matured", count=len(due), amount=total, currency=draft.currency)
    draft.result = {"matured": len(due)}


def commission(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del made
    action = facts["action"]
    allowed = {
        "void": {"waiting", "pending", "held", "matured"},
        "hold": {"pending"},
        "release": {"held"},
        "mature": {"pending", "held"},
    }[action]
    named = [e.shares[one] for one in dict.fromkeys(facts["ids"]) if one in e.shares]
    chosen = [share for share in named if share["state"] in allowed]
    if not chosen:
        draft.refuse("nothing_to_do")
        return
    draft.currency = e.world.config["currency"]
    if action == "mature":
        _go_over(e, chosen, draft)
    for share in chosen:
        if action == "void":
            share["state"] = "void"
            _set(e, share, 0, e.orders[share["order"]], at, draft)
        elif action != "mature":
            share["state"] = "held" if action == "hold" else "pending"
    draft.result = {"done": [share["id"] for share in chosen]}
    draft.say(f"{action}_by_hand", reason=facts["reason"], by=facts["by"])


def promoter(e: Engine, facts: Facts, at: datetime, made: Made, draft: Draft) -> None:
    del made, at
    if (number := _named(e, facts, draft)) is None:
        return
    _about(e, number, draft)
    row, action = e.seller(number), facts["action"]
    state = row["state"]
    if action == "apply" and e.world.config["who_promotes"] != "approved":
        draft.refuse("no_application_needed")
    elif action == "apply" and state != "none":
        draft.refuse(f"promoter_is_{state}")
    elif action == "unblock" and state != "blocked":
        draft.refuse("promoter_not_blocked")
    elif action in ("approve", "reject") and state == "blocked":
        draft.refuse("promoter_is_blocked")
    else:
        becomes = {"apply": "applied", "approve": "approved", "unblock": "approved", "reject": "rejected"}
        row["state"] = {**becomes, "block": "blocked"}.get(action, state)
        if facts.get("tier") is not None and action in ("tier", "approve"):
            row["tier"] = facts["tier"]
        row["note"] = facts.get("note", "" if action == "apply" else row["note"])
        draft.say(f"promoter_{action}", tier=row["tier"], note=row["note"])


KINDS: Mapping[str, Decision] = {
    "join": join, "leave": leave, "block": block, "unblock": unblock, "order": order, "payment": payment,
    "refund": refund, "cancel": cancel, "mature": mature, "commission": commission, "promoter": promoter,
}  # fmt: skip

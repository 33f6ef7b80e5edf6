"""Transfers to people (section 4.7): the state machine, confirmation, expiry after a day, cancelling."""

from __future__ import annotations

from typing import Any

from growth_engine.sandbox import paycrypto, people
from growth_engine.sandbox.oa.actions import CannotDo
from growth_engine.sandbox.pay import checks, ledger, notify
from growth_engine.sandbox.pay.service import PUBLIC_KEY_PREFIX, PayRefused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc
from growth_engine.sandbox.world import World, timer

routes = Routes()

BASE = "/v3/fund-app/mch-transfer/transfer-bills"
NUMBER = r"[0-9A-Za-z]{1,32}"
CONFIRM_SECONDS = 24 * 3600
QUERY_SECONDS = 30 * 86400
LEAST_FEN, NAME_FORBIDDEN_BELOW, NAME_NEEDED_FROM = 10, 30, 200_000
RED_PACKET_MOST = 20_000
STEP_SECONDS = 1.0
#: What each scene wants reported, and the words a payer may read (section 4.7; the texts are examples [U]).
SCENES: dict[str, tuple[str, ...]] = {
    "1000": ("活动名称", "奖励说明"),
    "1005": ("岗位类型", "报酬说明"),
}
PERCEPTIONS = {"1000": ("活动奖励", "现金奖励"), "1005": ("劳务报酬", "报销款", "企业补贴", "开工利是")}
FINAL = ("SUCCESS", "FAIL", "CANCELLED")
WAITING = "WAIT_USER_CONFIRM"


@routes("POST", BASE)
def create(call: Call) -> Doc:
    world, body, merchant = call.world, call.json(), call.account
    number = checks.text(body, "out_bill_no", 32, NUMBER)
    key = f"{merchant['mchid']}/{number}"
    known = world.store.get("pay.transfers", key)
    if known is not None:
        if _comparable(known["request"]) != _comparable(body):
            raise PayRefused(
                "INVALID_REQUEST", "商户单号已存在，且请求参数与原单不一致", detail_code=268498688
            )
        return _answer(known)
    amount = _check(call, body)
    name = _name(call, body, amount)
    ledger.move(world, merchant["mchid"], -amount, "商家转账", number, str(body["transfer_remark"]))
    bill = {
        "mchid": merchant["mchid"],
        "request": body,
        "name": name,
        "amount": amount,
        "transfer_bill_no": "13300" + world.digits(25),
        "state": WAITING,
        "fail_reason": "",
        "package_info": "affffddafdfafddffda" + world.random_text(40),
        "made": world.now(),
        "updated": world.now(),
        "person": _person(world, body)["id"],
    }
    world.store.put("pay.packages", bill["package_info"], {"bill": key})
    world.store.put("pay.transfer_numbers", bill["transfer_bill_no"], {"bill": key})
    world.later(CONFIRM_SECONDS, "pay.transfer_expiry", {"key": key})
    return _answer(world.store.put("pay.transfers", key, bill))


def _comparable(body: Doc) -> Doc:
    # RSA-OAEP makes another text each time: a repeated request need not repeat it letter by letter.
    return {name: value for name, value in body.items() if name != "user_name"}


def _check(call: Call, body: Doc) -> int:
    world, merchant = call.world, call.account
    if body.get("appid") not in merchant["appids"]:
        raise PayRefused("APPID_MCHID_NOT_MATCH", "商户号和appid没有绑定关系", detail_code=268445527)
    _person(world, body)
    amount = checks.fen(body, "transfer_amount")
    scene = checks.text(body, "transfer_scene_id", 36)
    limits = merchant["transfer_scenes"].get(scene)
    if limits is None:
        raise PayRefused("NO_AUTH", f"转账场景{scene}未开通")
    if not limits["least"] <= amount <= limits["most"]:
        raise PayRefused("INVALID_REQUEST", "超过单笔转账上下限")
    checks.text(body, "transfer_remark", 32)
    checks.notify_url(body, needed=False)
    _check_reports(body, scene)
    perception = body.get("user_recv_perception")
    if perception is not None and perception not in PERCEPTIONS.get(scene, (perception,)):
        raise checks.wrong("user_recv_perception", "不是该场景支持的内容")
    _check_style(body, amount)
    person_key = f"transfer/{merchant['mchid']}/{body['openid']}"
    if world.store.counted(_day(world, person_key)) + amount > merchant["transfer_person_daily"]:
        raise PayRefused("RULE_LIMIT", "超过该用户当日收款限额")
    world.store.next(_day(world, person_key), amount)
    return amount


def _day(world: World, name: str) -> str:
    return f"{name}/{checks.today(world)}"


def _check_reports(body: Doc, scene: str) -> None:
    infos: Any = body.get("transfer_scene_report_infos")
    if not isinstance(infos, list) or not infos:
        raise checks.wrong("transfer_scene_report_infos", "不能为空")
    for one in infos:
        if not isinstance(one, dict):
            raise checks.wrong("transfer_scene_report_infos")
        checks.text(one, "info_type", 15)
        checks.text(one, "info_content", 32)
    wanted = SCENES.get(scene)
    if wanted is not None and sorted(one["info_type"] for one in infos) != sorted(wanted):
        raise PayRefused("INVALID_REQUEST", f"转账场景报备信息应为: {'、'.join(wanted)}")


def _check_style(body: Doc, amount: int) -> None:
    style = body.get("user_recv_style")
    if style is None:
        return
    kind = style.get("type") if isinstance(style, dict) else None
    if kind not in ("CONFIRM_PAGE", "RED_PACKET"):
        raise checks.wrong("user_recv_style.type")
    if kind == "RED_PACKET" and amount > RED_PACKET_MOST:
        raise PayRefused("INVALID_REQUEST", "红包样式单笔不能超过200元")


def _name(call: Call, body: Doc, amount: int) -> str:
    sealed = body.get("user_name")
    if sealed is None:
        if amount >= NAME_NEEDED_FROM:
            raise checks.wrong("user_name", "单笔金额大于等于2000元时必填")
        return ""
    if amount < NAME_FORBIDDEN_BELOW:
        raise checks.wrong("user_name", "单笔金额小于0.3元时不支持")
    serial = call.headers.get("Wechatpay-Serial", "")
    if not serial:
        raise PayRefused("PARAM_ERROR", "上送敏感信息时Http头Wechatpay-Serial必填")
    key = "public_key" if serial.startswith(PUBLIC_KEY_PREFIX) else "platform"
    try:
        return paycrypto.unseal_field(call.account[f"{key}_private"], str(sealed))
    except paycrypto.BadCipher as error:
        raise checks.wrong("user_name", "敏感信息解密失败") from error


def _person(world: World, body: Doc) -> Doc:
    person = people.by_openid(world, str(body.get("appid")), str(body.get("openid")))
    if person is None:
        raise checks.wrong("openid", "与appid不匹配")
    return person


def _answer(bill: Doc) -> Doc:
    doc: Doc = {
        "out_bill_no": bill["request"]["out_bill_no"],
        "transfer_bill_no": bill["transfer_bill_no"],
        "create_time": checks.when(bill["made"]),
        "state": bill["state"],
    }
    if bill["fail_reason"]:
        doc["fail_reason"] = bill["fail_reason"]
    if bill["state"] == WAITING:
        doc["package_info"] = bill["package_info"]
    return doc


@routes("GET", BASE + "/out-bill-no/<number>")
def by_number(call: Call) -> Doc:
    return _described(
        call, call.world.store.get("pay.transfers", f"{call.account['mchid']}/{call.args['number']}")
    )


@routes("GET", BASE + "/transfer-bill-no/<number>")
def by_transfer_number(call: Call) -> Doc:
    found = call.world.store.get("pay.transfer_numbers", call.args["number"])
    mine = found is not None and found["bill"].startswith(f"{call.account['mchid']}/")
    return _described(call, call.world.store.get("pay.transfers", found["bill"]) if found and mine else None)


def _described(call: Call, bill: Doc | None) -> Doc:
    if bill is None or call.world.now() - bill["made"] > QUERY_SECONDS:
        raise PayRefused("NOT_FOUND", "记录不存在")
    request = bill["request"]
    doc: Doc = {
        "mch_id": bill["mchid"],
        "out_bill_no": request["out_bill_no"],
        "transfer_bill_no": bill["transfer_bill_no"],
        "appid": request["appid"],
        "state": bill["state"],
        "transfer_amount": bill["amount"],
        "transfer_remark": request["transfer_remark"],
        "openid": request["openid"],
        "create_time": checks.when(bill["made"]),
        "update_time": checks.when(bill["updated"]),
    }
    if bill["fail_reason"]:
        doc["fail_reason"] = bill["fail_reason"]
    if request.get("user_name"):
        doc["user_name"] = request["user_name"]
    return doc


@routes("POST", BASE + "/out-bill-no/<number>/cancel")
def cancel(call: Call) -> Doc:
    key = f"{call.account['mchid']}/{call.args['number']}"
    bill = call.world.store.get("pay.transfers", key)
    if bill is None:
        raise PayRefused("NOT_FOUND", "记录不存在")
    if bill["state"] == WAITING:
        bill = _to(call.world, bill, "CANCELING")
        call.world.later(STEP_SECONDS, "pay.transfer_cancel", {"key": key})
    elif bill["state"] not in ("CANCELING", "CANCELLED"):
        raise PayRefused("INVALID_REQUEST", "当前单据状态不支持撤销")
    return {
        "out_bill_no": bill["request"]["out_bill_no"],
        "transfer_bill_no": bill["transfer_bill_no"],
        "state": bill["state"],
        "update_time": checks.when(bill["updated"]),
    }


# -- what becomes of a bill ----------------------------------------------------------------------------


def _to(world: World, bill: Doc, state: str, fail_reason: str = "") -> Doc:
    bill = bill | {"state": state, "updated": world.now(), "fail_reason": fail_reason}
    return world.store.put("pay.transfers", f"{bill['mchid']}/{bill['request']['out_bill_no']}", bill)


def _end(world: World, bill: Doc, state: str, fail_reason: str = "") -> None:
    bill = _to(world, bill, state, fail_reason)
    request = bill["request"]
    if state != "SUCCESS":
        ledger.move(
            world,
            bill["mchid"],
            bill["amount"],
            "商家转账退回",
            request["out_bill_no"],
            fail_reason or "撤销",
        )
    told = {
        "out_bill_no": request["out_bill_no"],
        "transfer_bill_no": bill["transfer_bill_no"],
        "state": state,
        "mch_id": bill["mchid"],
        "transfer_amount": bill["amount"],
        "openid": request["openid"],
        "create_time": checks.when(bill["made"]),
        "update_time": checks.when(bill["updated"]),
    }
    if fail_reason:
        told["fail_reason"] = fail_reason
    url = str(request.get("notify_url", ""))
    notify.push(world, bill["mchid"], url, "MCHTRANSFER.BILL.FINISHED", "mch_payment", told)


def _waiting(world: World, key: str, state: str) -> Doc | None:
    bill = world.store.get("pay.transfers", key)
    return bill if bill is not None and bill["state"] == state else None


@timer("pay.transfer_expiry")
def _expire(world: World, payload: Doc) -> None:
    with world.open():
        bill = _waiting(world, payload["key"], WAITING)
        if bill is not None:
            _end(world, bill, world.option("transfer_expiry_state"), world.option("transfer_expiry_reason"))


@timer("pay.transfer_cancel")
def _cancelled(world: World, payload: Doc) -> None:
    with world.open():
        bill = _waiting(world, payload["key"], "CANCELING")
        if bill is not None:
            _end(world, bill, "CANCELLED")


def request_of(world: World, person_id: str, package: str, mchid: str = "", appid: str = "") -> Doc:
    """The bill behind ``requestMerchantTransfer``; CannotDo as the phone would say.

    A page names merchant and account; the wallet's own list does not.
    """
    found = world.store.get("pay.packages", package)
    bill = world.store.get("pay.transfers", found["bill"]) if found else None
    if bill is None or (mchid and bill["mchid"] != mchid) or (appid and bill["request"]["appid"] != appid):
        raise CannotDo("收款信息有误 · there is no such transfer")
    if bill["person"] != person_id:
        raise CannotDo("非收款人本人 · this money is for somebody else")
    if bill["state"] != WAITING:
        raise CannotDo(f"转账已处理 · the transfer is {bill['state']}")
    return bill


def confirm(world: World, person_id: str, package: str) -> None:
    """Take the money: TRANSFERING, then SUCCESS or FAIL a moment later."""
    bill = request_of(world, person_id, package)
    _to(world, bill, "TRANSFERING")
    key = f"{bill['mchid']}/{bill['request']['out_bill_no']}"
    world.later(STEP_SECONDS, "pay.transfer_arrival", {"key": key})


@timer("pay.transfer_arrival")
def _arrive(world: World, payload: Doc) -> None:
    with world.open():
        bill = _waiting(world, payload["key"], "TRANSFERING")
        if bill is None:
            return
        person = people.person(world, bill["person"])
        if not person["real_named"]:
            _end(world, bill, "FAIL", "PAYEE_ACCOUNT_ABNORMAL")
        elif bill["name"] and bill["name"] != person["real_name"]:
            _end(world, bill, "FAIL", "NAME_NOT_CORRECT")
        else:
            remark = bill["request"]["transfer_remark"]
            people.pay_in(world, bill["person"], bill["amount"], remark, bill["transfer_bill_no"])
            merchant = world.store.get("pay.merchants", bill["mchid"]) or {"name": ""}
            lines = [{"name": "付款方", "value": merchant["name"]}, {"name": "备注", "value": remark}]
            shown = {"title": "商家转账到账通知", "fen": bill["amount"], "lines": lines}
            people.say(world, bill["person"], "wxpay", "them", "receipt", **shown)
            _end(world, bill, "SUCCESS")


def waiting_for(world: World, person_id: str) -> list[Doc]:
    """The transfers a person may take now."""
    bills = world.store.all("pay.transfers").values()
    return [bill for bill in bills if bill["person"] == person_id and bill["state"] == WAITING]

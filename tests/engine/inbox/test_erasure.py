"""What the platforms told us about a person is handed out with the rest, and forgotten with the rest."""

from __future__ import annotations

from flask.testing import FlaskClient
from sqlalchemy import text

from growth_engine.context import Parts
from growth_engine.inbox import queries
from growth_engine.people import service as people
from tests.engine.people.test_erasure import personal_places
from tests.factories.callbacks import (
    OPENID,
    PAYMENT,
    Caller,
    connect_oa,
    connect_pay,
    document,
    notice,
    pay_headers,
)

#: How many messages name an id in their bytes, which no search for text finds.
NAMED = text(
    "SELECT count(*) FROM inbox_messages WHERE position(convert_to(:id, 'UTF8') IN"
    " raw || coalesce(content, '') || convert_to(request::text, 'UTF8')) > 0"
)


def test_a_persons_callbacks_are_exported_and_erased(
    parts: Parts, workspace: str, client: FlaskClient
) -> None:
    oa = Caller(client, "wechat_oa", connect_oa(parts, workspace))
    pay = Caller(client, "wechat_pay", connect_pay(parts, workspace))
    oa.say(MsgType="text", Content="我的秘密", MsgId=1)
    oa.say(MsgType="text", Content="somebody else", MsgId=2, FromUserName="oSomebodyElse")
    oa.say(Event="debug_demo", FromUserName=OPENID)
    oa.post(document("xml", oa.message(MsgType="text", Content="我的秘密")), {"signature": "forged"})
    oa.post(*oa.encrypted_body(f"unreadable {OPENID}".encode()))
    body = notice("TRANSACTION.SUCCESS", PAYMENT)
    pay.post(body, {}, pay_headers(body, parts.clock.now()))
    with parts.open(workspace) as ctx:
        contact = people.create_or_update(ctx, {"openid": OPENID}, nickname="Ann").contact_id
        held = people.export(ctx, contact)["inbox_messages"]
        assert len(held) == 5
        assert any("我的秘密" in (one["content"] or "") for one in held)
        assert not any("somebody else" in str(one) for one in held)
        assert ctx.session.scalar(NAMED, {"id": OPENID}) == 5
        people.erase(ctx, contact)
    with parts.open(workspace) as ctx:
        assert personal_places(ctx, [OPENID, "我的秘密"]) == []
        assert ctx.session.scalar(NAMED, {"id": OPENID}) == 0
        states = sorted(one.state for one in queries.page(ctx))
        assert states == ["done"] * 5 + ["refused"]
        assert [one.sender for one in queries.page(ctx) if one.sender] == ["oSomebodyElse"]

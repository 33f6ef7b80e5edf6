"""Shapes of the REST API about wallets and withdrawals. Amounts are minor units (fen, cents)."""

from __future__ import annotations

from marshmallow import fields, validate

from growth_engine.kit.rest import Document, Moment, PageQuery
from growth_engine.payouts.rules import STATES

_LARGEST = 10**12
_AMOUNT = validate.Range(min=1, max=_LARGEST)
_NOT_NEGATIVE = validate.Range(min=0, max=_LARGEST)
_STATE = validate.OneOf(list(STATES))
_CURRENCY = validate.Regexp(r"[A-Z]{3}\Z")


class BalanceShape(Document):
    """What a person has in one currency."""

    currency = fields.String(required=True)
    pending = fields.Integer(required=True, metadata={"description": "Earned and on hold."})
    available = fields.Integer(required=True, metadata={"description": "May be withdrawn now."})
    reserved = fields.Integer(required=True, metadata={"description": "On its way out."})
    paid = fields.Integer(required=True, metadata={"description": "Ever paid out, tax and fee included."})
    withheld = fields.Integer(required=True, metadata={"description": "Tax and fee of what was paid."})
    debt = fields.Integer(
        required=True, metadata={"description": "Taken back by refunds after it was withdrawn."}
    )


class WalletShape(Document):
    """A person's wallet."""

    contact_id = fields.String(required=True)
    balances = fields.List(fields.Nested(BalanceShape), required=True)


class LineShape(Document):
    """One movement in a wallet."""

    seq = fields.Integer(required=True, metadata={"description": "Of the Entry in the wallet book."})
    line = fields.Integer(required=True)
    at = Moment(required=True)
    kind = fields.String(required=True)
    title = fields.String(required=True, metadata={"description": "For people."})
    currency = fields.String(required=True)
    amount = fields.Integer(required=True, metadata={"description": "Change of what is available."})
    payout_id = fields.String(required=True, allow_none=True)
    commission_id = fields.String(required=True, allow_none=True)
    order_id = fields.String(required=True, allow_none=True)
    campaign_id = fields.String(required=True, allow_none=True)


class PayoutAsk(Document):
    """Somebody wants their money."""

    amount = fields.Integer(required=True, strict=True, validate=_AMOUNT)
    currency = fields.String(validate=_CURRENCY, metadata={"description": "The workspace's if not given."})
    recipient = fields.Dict(
        keys=fields.String(),
        load_default=dict,
        metadata={"description": "What the identity check of the wallet policy asks for, e.g. `name`."},
    )


class Approval(Document):
    """A yes."""

    note = fields.String(load_default="", validate=validate.Length(max=200))


class PayoutRejection(Document):
    """A no."""

    note = fields.String(required=True, validate=validate.Length(min=1, max=200))


class PayoutQuery(PageQuery):
    """The query string of the list of payouts."""

    state = fields.String(load_default="", metadata={"description": "One or more, separated by commas."})
    contact = fields.String(load_default="", metadata={"description": "Id or any identity."})


class ExportQuery(Document):
    """The query string of the exported list."""

    state = fields.String(
        load_default="waiting", metadata={"description": "One or more, separated by commas."}
    )


class VerdictShape(Document):
    """What a member of staff said."""

    staff_id = fields.String(required=True)
    name = fields.String(required=True)
    verdict = fields.String(required=True, validate=validate.OneOf(["approve", "reject"]))
    note = fields.String(required=True)
    at = Moment(required=True)


class PayoutShape(Document):
    """A withdrawal; its id is its number with the provider."""

    id = fields.String(required=True)
    contact_id = fields.String(required=True)
    currency = fields.String(required=True)
    amount = fields.Integer(required=True, metadata={"description": "`net` plus what is withheld."})
    tax = fields.Integer(required=True)
    fee = fields.Integer(required=True)
    net = fields.Integer(required=True, metadata={"description": "What the recipient gets."})
    state = fields.String(required=True, validate=_STATE)
    provider = fields.String(required=True)
    provider_ref = fields.String(required=True, allow_none=True)
    error = fields.String(required=True)
    approvals_needed = fields.Integer(required=True)
    policy_version = fields.Integer(required=True)
    requested_at = Moment(required=True)
    decided_at = Moment(required=True, allow_none=True)
    sent_at = Moment(required=True, allow_none=True)
    finished_at = Moment(required=True, allow_none=True)


class PayoutDetail(PayoutShape):
    """A withdrawal with who receives it and what was said about it."""

    recipient = fields.Dict(keys=fields.String(), required=True)
    verdicts = fields.List(fields.Nested(VerdictShape), required=True)


class PayoutReceived(Document):
    """Stored, and decided within seconds; ask with the same Idempotency-Key again."""

    status = fields.String(required=True, validate=validate.Equal("received"))


class ResultsFile(Document):
    """An exported list with its last three columns filled in."""

    csv = fields.String(required=True, validate=validate.Length(min=1, max=2_000_000))


class ImportedShape(Document):
    """What became of a file of results."""

    paid = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    unchanged = fields.Integer(required=True, metadata={"description": "Said the same before."})
    skipped = fields.Integer(required=True, metadata={"description": "Lines without a result."})
    contested = fields.List(
        fields.String(), required=True, metadata={"description": "Payouts that ended otherwise meanwhile."}
    )


class PolicyRules(Document):
    """Rules for withdrawals; amounts in minor units of the workspace's currency."""

    minimum = fields.Integer(required=True, strict=True, validate=_AMOUNT)
    daily_amount = fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=_AMOUNT,
        metadata={"description": "Most a person may ask for in a day of the workspace; null: no limit."},
    )  # fmt: skip
    daily_count = fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=validate.Range(min=1, max=1_000)
    )
    approve_above = fields.Integer(
        load_default=0, strict=True, validate=_NOT_NEGATIVE,
        metadata={"description": "A person must approve payouts above this; 0: every one."},
    )  # fmt: skip
    second_above = fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=_NOT_NEGATIVE,
        metadata={"description": "Two different people must; null: never two."},
    )  # fmt: skip
    tax_bp = fields.Integer(
        load_default=0, strict=True, validate=validate.Range(min=0, max=9_999),
        metadata={"description": "Basis points withheld as tax."},
    )  # fmt: skip
    fee_bp = fields.Integer(load_default=0, strict=True, validate=validate.Range(min=0, max=9_999))
    fee_fixed = fields.Integer(load_default=0, strict=True, validate=_NOT_NEGATIVE)
    identity_check = fields.String(load_default="none", validate=validate.Length(max=40))
    provider = fields.String(load_default="manual", validate=validate.Length(max=40))


class PolicyShape(PolicyRules):
    """The rules for withdrawals in force."""

    version = fields.Integer(required=True, metadata={"description": "0: the defaults."})

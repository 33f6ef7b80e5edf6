"""No identity check: where the money goes is all that is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import RAISE, Schema, fields, validate

from growth_engine.kit.i18n import N_
from growth_engine.payouts import identity
from growth_engine.people.names import clean_nickname

if TYPE_CHECKING:
    from growth_engine.context import Ctx

LONGEST_ACCOUNT = 100


class AccountForm(Schema):
    """Where the money goes."""

    class Meta:
        unknown = RAISE

    account = fields.String(
        load_default="",
        validate=validate.Length(max=LONGEST_ACCOUNT),
        metadata={
            "label": N_("Account"),
            "help": N_("Where the money should go, if the merchant asks for it: an account or a number."),
        },
    )


class NoCheck:
    name = "none"
    title = N_("No check")
    form = AccountForm

    def recipient(self, ctx: Ctx, contact_id: str, told: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        return one_line(account=told["account"])


def one_line(**given: str) -> dict[str, Any]:
    """What was typed, free of invisible characters; what is empty is left out."""
    cleaned = {name: clean_nickname(text) for name, text in given.items()}
    return {name: text for name, text in cleaned.items() if text}


identity.add(NoCheck())

"""The recipient's real name and identity number, of which the middle is forgotten at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from growth_engine.kit.errors import Invalid
from growth_engine.kit.i18n import N_
from growth_engine.payouts import identity
from growth_engine.payouts.identity_none import AccountForm, one_line

if TYPE_CHECKING:
    from growth_engine.context import Ctx

#: Weights and check characters of citizen identification numbers (GB 11643-1999, ISO 7064 MOD 11-2).
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_CITIZEN = re.compile(r"[0-9]{17}[0-9A-Z]")
#: Passports and permits: nothing is known about them but that they are letters and digits.
_OTHER = re.compile(r"[A-Z0-9]{5,20}")
_LONGEST_NAME = 32


class RealNameForm(AccountForm):
    """Who receives the money."""

    name = fields.String(
        required=True,
        validate=validate.Length(min=1, max=_LONGEST_NAME),
        metadata={"label": N_("Real name"), "autocomplete": "name"},
    )
    id_number = fields.String(
        required=True,
        validate=validate.Length(min=1, max=40),
        metadata={
            "label": N_("Identity number"),
            "help": N_("Only its beginning and its end are kept."),
            "autocomplete": "off",
        },
    )


class RealName:
    """Collects name and masked number; comparing them with a register is for a check of its own."""

    name = "real_name"
    title = N_("Real name and identity number")
    form = RealNameForm

    def recipient(self, ctx: Ctx, contact_id: str, told: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        kept = one_line(name=told["name"], account=told["account"])
        if "name" not in kept:
            raise Invalid(fields={"name": [N_("Give your real name.")]})
        return {**kept, "id_number": masked(told["id_number"])}


def masked(number: str) -> str:
    """``110101********0016``: enough to tell two people apart, too little to be somebody else."""
    tidy = re.sub(r"[\s-]", "", number).upper()
    if _CITIZEN.fullmatch(tidy):
        if _CHECKS[sum(int(d) * w for d, w in zip(tidy, _WEIGHTS, strict=False)) % 11] != tidy[17]:
            raise Invalid(fields={"id_number": [N_("This identity number has a typing error.")]})
        return f"{tidy[:6]}{'*' * 8}{tidy[14:]}"
    if not _OTHER.fullmatch(tidy):
        raise Invalid(fields={"id_number": [N_("Give the number of an identity card or passport.")]})
    return f"{tidy[:1]}{'*' * (len(tidy) - 3)}{tidy[-2:]}"


identity.add(RealName())

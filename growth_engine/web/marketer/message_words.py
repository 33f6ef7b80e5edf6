"""How pages about messages, in and out, say things: what a platform refuses, and what is tried again."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import ngettext

from growth_engine.kit.i18n import N_

#: Why something was refused, by ``channels.contract.Reason``.
REASONS: Mapping[str, str] = {
    "busy": N_("The platform is busy."),
    "unreachable": N_("The platform could not be reached."),
    "quota": N_("The account's messages of today are used up."),
    "token": N_("The platform does not accept the account's token."),
    "credentials": N_("The account's keys or its list of addresses are wrong."),
    "permission": N_("The account may not do this."),
    "window_closed": N_("The person has not done anything lately, so WeChat lets no message through."),
    "window_used_up": N_("As many messages as WeChat allows were sent since the person's last step."),
    "not_granted": N_("The person has not allowed this."),
    "not_following": N_("The person does not follow the account any more."),
    "blocked": N_("The person has blocked the account."),
    "unknown_person": N_("The platform does not know this person here."),
    "member": N_("The employee is not active in WeCom."),
    "too_late": N_("The moment for it was over."),
    "already_done": N_("It was sent before."),
    "media": N_("The picture has to be uploaded again."),
    "bad_request": N_("The platform did not take it in this form."),
    "limit": N_("A limit of the platform was reached."),
    "funds": N_("The merchant's balance does not suffice."),
    "not_found": N_("There is nothing to send any more."),
    "other": N_("The platform refused it without a reason we know."),
}


def tried_again(count: int) -> str:
    """What a button for all that failed has done."""
    return str(
        ngettext("%(num)s message is tried again now.", "%(num)s messages are tried again now.", count)
    )

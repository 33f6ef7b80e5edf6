"""From a filled-in form to a participant: who must prove their number, the join itself, and what follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import orjson
import structlog
from flask import Response, flash, make_response, redirect, request, url_for
from flask_babel import gettext as _

from growth_engine.channels.sms import NoSms
from growth_engine.kit import web
from growth_engine.kit.crypto import Signer, keyed_digest
from growth_engine.kit.errors import GrowthError, Unavailable
from growth_engine.kit.i18n import current_locale
from growth_engine.ledger import queries as books
from growth_engine.ledger.contract import Reason
from growth_engine.people import codes
from growth_engine.people import queries as people
from growth_engine.people import service as people_service
from growth_engine.people.rules import Identity
from growth_engine.plays import invites, participation
from growth_engine.plays.participation import JoinAsk, JoinOutcome
from growth_engine.plays.words import reason_text
from growth_engine.web.h5 import buying, limits, notice, wechat_visitor
from growth_engine.web.h5.visit import Shown, Visit, remember

log = structlog.get_logger(__name__)

SOURCE = buying.SOURCE
_DRAFT_COOKIE = "ge_join"
_DRAFT_SECONDS = 30 * 60


@dataclass(frozen=True, slots=True)
class Draft:
    """A registration as filled in; waits in a signed cookie while a code or a decision is on its way."""

    campaign_id: str
    phone: str
    nickname: str
    token: str
    consent: str
    nonce: str
    locale: str
    address: str
    proven: bool = False
    """The number was proved by a code."""
    enters: bool = False
    """Takes part already and only wants back to their page, from another browser."""
    basket: Sequence[tuple[str, int]] = ()
    """What is to be ordered once they take part: (sku, quantity) of each product."""
    openid: str = ""
    """Proven inside WeChat, and what takes the number's place there."""
    unionid: str = ""
    buyer: str = ""
    """Contact id of a buyer this browser is known to belong to: no number, no name is asked for."""

    def ask(self) -> JoinAsk:
        return JoinAsk(
            identities=[Identity(kind, value) for kind, value in self._names() if value],
            contact_id=self.buyer or None,
            nickname=self.nickname,
            locale=self.locale,
            consent=self.consent or None,
            invite_token=self.token or None,
            device=web.visitor_id(),
            address=self.address or None,
        )

    def _names(self) -> tuple[tuple[str, str], ...]:
        return (("phone", self.phone), ("openid", self.openid), ("unionid", self.unionid))

    def key(self) -> str:
        """The same form sent twice is one Event; with anything changed it is another."""
        content = orjson.dumps({**asdict(self), "proven": False}, option=orjson.OPT_SORT_KEYS).decode()
        return keyed_digest(web.parts().settings.secret_key, f"join {web.visitor_id()} {content}")

    def order_key(self) -> str:
        """Names the order in it, as ``key`` names the registration."""
        return f"order:{self.key()}"


def draft_of(campaign: Shown, typed: Mapping[str, str], token: str) -> Draft:
    phone = typed.get("phone", "")
    # With a number typed the openid is not used to join: the two may be different people's.
    known = wechat_visitor.proven(campaign.workspace_id) if not phone and wechat_visitor.inside() else None
    return Draft(
        campaign_id=campaign.id,
        phone=phone,
        openid=known.openid if known else "",
        unionid=known.unionid if known else "",
        nickname=typed["nickname"],
        token=token,
        consent=wording(campaign),
        nonce=typed["nonce"],
        locale=current_locale(),
        address=limits.address(),
    )


def entrance_of(campaign: Shown, phone: str) -> Draft:
    """The draft of somebody who takes part already."""
    return Draft(campaign.id, phone, "", "", "", "", current_locale(), limits.address(), enters=True)


def wording(campaign: Shown) -> str:
    """Names what is agreed to: our sentence, and the rules and privacy note as published."""
    return f"h5-1:{campaign.id}:{campaign.version}"


# -- the way in --------------------------------------------------------------------------------------


def begin(visit: Visit, draft: Draft) -> bool:
    """Whether the join may go ahead; otherwise the number must be proved first.

    Typing a number must not open the page of whoever it belongs to.
    """
    if draft.openid:
        return True
    owner = people.by_identity(visit.ctx, Identity("phone", draft.phone))
    if owner is not None and owner in visit.family:
        return True
    if visit.campaign.config.get("phone_code"):
        return False
    # Known by now because this very form made it known (sent twice): not a stranger's number.
    return owner is None or books.event_is_known(visit.ctx, SOURCE, draft.key())


def ask_for_code(campaign: Shown, draft: Draft, *, known: bool = True) -> Response | tuple[str, int]:
    """Send a code to the number, then on to the page that takes it."""
    parts = web.parts()
    if isinstance(parts.sms, NoSms):
        return notice.answer(campaign, "no_code" if known else "code_needed")
    try:
        codes.send_code(
            parts, campaign.workspace_id, draft.phone, address=draft.address, locale=current_locale()
        )
    except codes.CodeTooSoon:
        flash(_("A code was sent a moment ago. Please use that one."), "info")
    response = make_response(redirect(url_for("h5_code.form", campaign_id=campaign.id), 303))
    keep(response, draft)
    return response


def enter(visit: Visit, draft: Draft) -> Response:
    """The number is proved: this browser belongs to whoever it is, from now on."""
    owner = people.by_identity(visit.ctx, Identity("phone", draft.phone))
    if owner is None:  # erased while the code was on its way
        return make_response(redirect(url_for("h5_landing.public", campaign_id=draft.campaign_id), 303))
    owner = people_service.prove(visit.ctx, owner, "phone", draft.phone)
    owner = wechat_visitor.bind(visit.ctx, owner)
    response = make_response(redirect(url_for("h5_me.page", campaign_id=draft.campaign_id), 303))
    remember(response, visit.campaign.workspace_id, owner)
    drop(response)
    return response


def finish(campaign: Shown, draft: Draft, family: list[str]) -> Response | tuple[str, int]:
    """Join, and lead on: to the person's page, to the waiting page, or to the reason why not.

    With something in the basket it is ordered then, and the order's page comes next.
    """
    if draft.buyer:
        return _order(campaign, draft, draft.ask())
    outcome = participation.join(
        web.parts(), campaign.workspace_id, campaign.id, draft.ask(), source=SOURCE, key=draft.key()
    )
    if outcome.pending:
        response = make_response(redirect(url_for("h5_waiting.page", campaign_id=campaign.id), 303))
        keep(response, draft)
        return response
    if outcome.participant is None:
        return _refused(campaign, outcome)
    if not draft.proven and not draft.openid and not _is_theirs(campaign, outcome, family):
        return ask_for_code(campaign, draft)
    if outcome.participant["state"] == "blocked":
        return _refused(campaign, outcome)
    return _welcome(campaign, draft, outcome)


def _refused(campaign: Shown, outcome: JoinOutcome) -> tuple[str, int]:
    codes_ = [reason.code for reason in outcome.reasons]
    code = next((one for one in codes_ if one in notice.NOTICES), "refused")
    return notice.answer(campaign, code)


def _is_theirs(campaign: Shown, outcome: JoinOutcome, family: list[str]) -> bool:
    """Whether the participant is this visitor's: known from the cookie, or met by this very Event.

    Two browsers can send one new number at the same moment; only the one that made the contact owns it.
    """
    participant = outcome.participant
    assert participant is not None
    if participant["contact_id"] in family:
        return True
    if {reason.code for reason in outcome.reasons} & {"already_joined", "came_back"}:
        return False
    with web.parts().open(campaign.workspace_id) as ctx:
        contact = people.contact(ctx, participant["contact_id"])
    return bool(contact.first_seen_at == participant["joined_at"])


def _welcome(campaign: Shown, draft: Draft, outcome: JoinOutcome) -> Response:
    participant = outcome.participant
    assert participant is not None
    _note_proofs(campaign, draft, participant["contact_id"])
    request_poster(campaign, participant["id"])
    if draft.basket:
        ask = JoinAsk(contact_id=participant["contact_id"], invite_token=draft.token or None)
        response = _order(campaign, draft, ask)
    else:
        _greet(campaign, outcome)
        response = make_response(redirect(url_for("h5_me.page", campaign_id=campaign.id), 303))
        drop(response)
    remember(response, campaign.workspace_id, participant["contact_id"])
    return response


def _note_proofs(campaign: Shown, draft: Draft, contact_id: str) -> None:
    """Write down what was shown to be theirs: the number by its code, the openid by WeChat."""
    with web.parts().open(campaign.workspace_id) as ctx:
        if draft.proven and draft.phone:
            contact_id = people_service.prove(ctx, contact_id, "phone", draft.phone)
        if draft.openid:
            names = (("openid", draft.openid), ("unionid", draft.unionid))
            wechat_visitor.add(ctx, contact_id, [Identity(kind, value) for kind, value in names if value])
        else:
            wechat_visitor.bind(ctx, contact_id)


def _order(campaign: Shown, draft: Draft, ask: JoinAsk) -> Response:
    """The same draft again is the same order."""
    try:
        response = buying.place(campaign, ask, draft.basket, key=draft.order_key())
    except Unavailable:  # stored: the page that waits asks again, and it stays one order
        response = make_response(redirect(url_for("h5_waiting.page", campaign_id=campaign.id), 303))
        keep(response, draft)
        return response
    drop(response)
    return response


def _greet(campaign: Shown, outcome: JoinOutcome) -> None:
    reasons = {reason.code: reason for reason in outcome.reasons}
    if "already_joined" in reasons:
        flash(_("You take part already. Here is your page."), "info")
    elif "came_back" in reasons:
        flash(_("Welcome back!"), "success")
    else:
        flash(campaign.copy.get("thanks") or _("You are in. Welcome!"), "success")
        for reason in _worth_saying(outcome):
            flash(_("Your friend's invite does not count: %(why)s", why=reason_text(reason)), "warning")


def _worth_saying(outcome: JoinOutcome) -> list[Reason]:
    """Why the invite did not count; an accepted join only carries remarks about the inviter."""
    return [] if outcome.accepted else list(outcome.reasons)


def request_poster(campaign: Shown, participant_id: str) -> bool:
    """Ask for the poster; whether that worked. A person who has joined must not see an error for it."""
    if not campaign.has_poster:
        return False
    try:
        with web.parts().open(campaign.workspace_id) as ctx:
            invites.request_poster(ctx, participant_id)
    except GrowthError as error:
        log.warning("h5.poster_not_requested", participant=participant_id, code=error.code)
        return False
    return True


def way_back(draft: Draft) -> str:
    """The form a draft came from, as it was filled in."""
    if draft.enters:
        return url_for("h5_enter.form", campaign_id=draft.campaign_id)
    if draft.basket:
        return buying.sheet_url(draft.campaign_id, draft.token, draft.basket)
    return url_for("h5_register.form", campaign_id=draft.campaign_id, i=draft.token or None)


# -- the draft's cookie ------------------------------------------------------------------------------


def keep(response: Response, draft: Draft) -> None:
    value = _signer().sign([web.visitor_id(), asdict(draft)])
    web.set_cookie(response, _DRAFT_COOKIE, value, max_age=_DRAFT_SECONDS)


def kept(campaign_id: str) -> Draft | None:
    """The registration this browser is in the middle of; of this campaign, this visitor, and not too old."""
    value = _signer().unsign(request.cookies.get(_DRAFT_COOKIE, ""), max_age=_DRAFT_SECONDS)
    if not isinstance(value, list) or len(value) != 2 or value[0] != web.visitor_id():
        return None
    written: dict[str, Any] = value[1]
    if written.keys() != {one.name for one in fields(Draft)}:  # kept by an earlier release
        return None
    draft = Draft(**written)
    return draft if draft.campaign_id == campaign_id else None


def drop(response: Response) -> None:
    response.delete_cookie(_DRAFT_COOKIE, path="/", samesite="Lax", httponly=True)


def proven(draft: Draft) -> Draft:
    return replace(draft, proven=True)


def _signer() -> Signer:
    return Signer(web.parts().settings.secret_key, "phone registration")

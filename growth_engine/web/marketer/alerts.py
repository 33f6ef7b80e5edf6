"""Alerts of the books: what must not be and is, what to do about it, and what has been before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Blueprint, render_template

from growth_engine.kit import web
from growth_engine.kit.i18n import translate
from growth_engine.ledger import queries, remedies
from growth_engine.ledger.models import Alert
from growth_engine.paying import remedies as wechat_pay
from growth_engine.web.marketer import books

bp = Blueprint("alerts", __name__, url_prefix="/console/alerts")

PAST = 50


@dataclass(frozen=True, slots=True)
class Row:
    alert: Alert
    title: str
    remedy: str
    """What a person does about it; empty for what nobody has written about."""
    about: str
    """Title of the campaign whose book it is; empty for the wallet's, and for anything else."""
    book_kind: str
    """campaign or wallet; empty when it is about something else than a book."""


@bp.get("")
@web.require_staff("marketer")
def listing() -> str:
    with web.ctx() as ctx:
        found = queries.books(ctx)
        kinds = {one.id: one.kind for one in found}
        names = books.titles(ctx, found)
        present = [_row(one, kinds, names) for one in queries.open_alerts(ctx)]
        past = [_row(one, kinds, names) for one in queries.past_alerts(ctx, PAST)]
    return render_template("marketer/alerts.html", part="alerts", present=present, past=past, most=PAST)


def _row(alert: Alert, kinds: Mapping[str, str], names: Mapping[str, str]) -> Row:
    words = remedies.words_of(alert.topic) or wechat_pay.WORDS.get(alert.topic)
    title, remedy = (translate(words.title), translate(words.remedy)) if words else (alert.topic, "")
    return Row(alert, title, remedy, names.get(alert.subject, ""), kinds.get(alert.subject, ""))

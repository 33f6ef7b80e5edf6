"""``/`` and ``/console``: lead each member of staff to the first page of their menu."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from werkzeug.wrappers import Response

from growth_engine.kit.web import check_staff
from growth_engine.web.navigation import menu

bp = Blueprint("console", __name__)


@bp.get("/")
def front() -> Response:
    return redirect(url_for("console.home"))


@bp.get("/console")
def home() -> Response:
    check_staff()
    items = menu()
    return redirect(url_for(items[0].endpoint if items else "profile.show"))

"""Where sales staff arrive."""

from __future__ import annotations

from flask import Blueprint, render_template

from growth_engine.kit import web
from growth_engine.kit.i18n import N_
from growth_engine.web.navigation import NavItem

bp = Blueprint("sales_home", __name__, url_prefix="/sales")

NAV = NavItem("sales_home.show", N_("Start"), "home", 70, roles=("sales",))


@bp.get("")
@web.require_staff("sales")
def show() -> str:
    return render_template("sales/home.html", who=web.check_staff())

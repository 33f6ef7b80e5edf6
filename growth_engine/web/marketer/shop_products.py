"""What a campaign sells: products with picture, price and stock; added, changed, hidden, put in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from marshmallow import EXCLUDE, Schema, fields, validate
from werkzeug.wrappers import Response as AnyResponse

from growth_engine.channels.storage import content_type_of
from growth_engine.context import Ctx
from growth_engine.kit import web
from growth_engine.kit.errors import Conflict, Invalid, NotFound
from growth_engine.kit.i18n import N_, translate
from growth_engine.orders import queries, rules, service
from growth_engine.orders.models import Product
from growth_engine.plays import ordering, selling_stock
from growth_engine.plays.contract import option
from growth_engine.posters import uploads
from growth_engine.web import forms
from growth_engine.web.marketer import campaign_frame

bp = Blueprint("shop_products", __name__, url_prefix="/console/campaigns")

MOST_STOCK = 10_000_000


class ProductForm(Schema):
    """A product as the console asks for it."""

    class Meta:
        unknown = EXCLUDE

    name = fields.String(required=True, validate=validate.Length(min=1, max=80), metadata=option(N_("Name")))
    sku = fields.String(
        required=True,
        validate=validate.Length(min=1, max=64),
        metadata=option(
            N_("SKU"), N_("Your own short name of it, such as book-1; rates refer to it. It stays for good.")
        ),
    )
    price = fields.Integer(
        required=True,
        validate=validate.Range(min=1, max=rules.MOST_AMOUNT),
        metadata=option(N_("Price of one"), money=True),
    )
    stock = fields.Integer(
        load_default=None,
        allow_none=True,
        validate=validate.Range(min=0, max=MOST_STOCK),
        metadata=option(
            N_("How many there are in all"), N_("Sold and reserved ones included. Empty for no limit.")
        ),
    )
    description = fields.String(
        load_default="",
        validate=validate.Length(max=2000),
        metadata=option(N_("Description"), widget="textarea", rows=5),
    )


@bp.get("/<campaign_id>/products")
@web.require_staff("marketer")
def listing(campaign_id: str) -> str:
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
        products = queries.products(ctx, campaign_id)
        stock = selling_stock.stock_of_products(ctx, campaign_id)
        sold = queries.sold(ctx, campaign_id)
    return render_template(
        "marketer/shop_products.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_products.listing",
        products=products,
        stock=stock,
        sold=sold,
    )


@bp.get("/<campaign_id>/products/new")
@web.require_staff("marketer")
def new(campaign_id: str) -> str:
    return _page(campaign_id, None, {}, {})


@bp.post("/<campaign_id>/products/new")
@web.require_staff("marketer")
def add(campaign_id: str) -> AnyResponse:
    with web.ctx() as ctx:
        currency = ordering.selling_config(ctx, campaign_id)["currency"]
    values = forms.read_form(ProductForm(), request.form, currency=currency)
    try:
        given = forms.load(ProductForm(), values)
        with web.ctx() as ctx:
            selling_stock.offer(ctx, campaign_id, currency=currency, picture_key=_uploaded(ctx), **given)
    except (Invalid, service.SkuTaken) as error:
        return _again(campaign_id, None, values, error)
    flash(_("“%(name)s” is on sale.", name=given["name"]), "success")
    return redirect(url_for("shop_products.listing", campaign_id=campaign_id))


@bp.get("/<campaign_id>/products/<product_id>")
@web.require_staff("marketer")
def edit(campaign_id: str, product_id: str) -> str:
    with web.ctx() as ctx:
        product = _product(ctx, campaign_id, product_id)
        held = selling_stock.stock_of_products(ctx, campaign_id).get(product_id)
    shown = {name: getattr(product, name) for name in ("name", "sku", "price", "description")}
    return _page(campaign_id, product, {**shown, "stock": held.total if held else None}, {})


@bp.post("/<campaign_id>/products/<product_id>")
@web.require_staff("marketer")
def change(campaign_id: str, product_id: str) -> AnyResponse:
    with web.ctx() as ctx:
        product = _product(ctx, campaign_id, product_id)
    values = forms.read_form(ProductForm(), request.form, currency=product.currency)
    values["sku"] = product.sku  # it names the product in rates and orders
    try:
        given = forms.load(ProductForm(), values)
        stock = given.pop("stock")
        del given["sku"]
        with web.ctx() as ctx:
            picture = _uploaded(ctx)
            if picture or request.form.get("picture_away"):
                given["picture_key"] = picture
            service.change_product(ctx, product_id, given)
            selling_stock.set_total(ctx, product_id, stock)
    except Invalid as error:
        return _again(campaign_id, product, values, error)
    flash(_("Saved. Orders placed before keep the name and price they had."), "success")
    return redirect(url_for("shop_products.listing", campaign_id=campaign_id))


@bp.post("/<campaign_id>/products/<product_id>/<any(show, hide):action>")
@web.require_staff("marketer")
def switch(campaign_id: str, product_id: str, action: str) -> AnyResponse:
    state = "on_sale" if action == "show" else "hidden"
    with web.ctx() as ctx:
        product = _product(ctx, campaign_id, product_id)
        service.change_product(ctx, product_id, {"state": state})
    if action == "show":
        flash(_("“%(name)s” is on sale.", name=product.name), "success")
    else:
        flash(
            _("“%(name)s” cannot be ordered any more. Orders that exist go on.", name=product.name), "success"
        )
    return redirect(url_for("shop_products.listing", campaign_id=campaign_id))


@bp.post("/<campaign_id>/products/<product_id>/<any(up, down):direction>")
@web.require_staff("marketer")
def move(campaign_id: str, product_id: str, direction: str) -> AnyResponse:
    """One place up or down; the others close the gap."""
    with web.ctx() as ctx:
        _product(ctx, campaign_id, product_id)
        order = [one.id for one in queries.products(ctx, campaign_id)]
        place = order.index(product_id)
        order.insert(max(0, place + (1 if direction == "down" else -1)), order.pop(place))
        # In the order of their ids, so that two people at it wait for each other instead of locking up.
        for one in sorted(order):
            service.change_product(ctx, one, {"position": order.index(one)})
    return redirect(url_for("shop_products.listing", campaign_id=campaign_id) + f"#{product_id}")


@bp.get("/<campaign_id>/products/<product_id>/picture")
@web.require_staff("marketer")
def picture(campaign_id: str, product_id: str) -> Response:
    with web.ctx() as ctx:
        key = _product(ctx, campaign_id, product_id).picture_key
        if key is None:
            raise NotFound
        content = ctx.parts.storage.get(key)
    response = Response(content, mimetype=content_type_of(key))
    response.headers["Cache-Control"] = "private, max-age=300"
    response.set_etag(key)
    response.make_conditional(request)
    return response


def _product(ctx: Ctx, campaign_id: str, product_id: str) -> Product:
    product = queries.product(ctx, product_id)
    if product.campaign_id != campaign_id:
        raise queries.UnknownProduct
    return product


def _uploaded(ctx: Ctx) -> str | None:
    """Key of the picture sent along, if any."""
    file = request.files.get("picture")
    if file is None or not file.filename:
        return None
    try:
        return uploads.product_from_upload(ctx.parts.storage, file.read())
    except Invalid as error:
        raise Invalid(fields={"picture": [translate(error.message, error.params)]}) from None


def _again(
    campaign_id: str, product: Product | None, values: Mapping[str, Any], error: Invalid | Conflict
) -> AnyResponse:
    problems = error.extra.get("errors") or {"sku": [error.message]}
    return make_response(_page(campaign_id, product, values, problems), 422)


def _page(
    campaign_id: str, product: Product | None, values: Mapping[str, Any], problems: Mapping[str, Any]
) -> str:
    with web.ctx() as ctx:
        frame = campaign_frame.shop(ctx, campaign_id)
    currency = product.currency if product else frame.currency
    form = forms.form_fields(ProductForm(), values, problems, currency=currency)
    return render_template(
        "marketer/shop_product.html",
        frame=frame,
        campaign=frame.campaign,
        tab="shop_products.listing",
        product=product,
        form={one.name: one for one in form},
        picture_problems=problems.get("picture", ()),
        wrong=bool(problems),
    )

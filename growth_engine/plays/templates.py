"""Ready campaigns of the gallery: one JSON file each in ``campaigns/templates/``, found, checked at boot."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate

from growth_engine.kit.errors import Misconfigured, NotFound
from growth_engine.kit.i18n import LOCALES, N_
from growth_engine.plays import compliance
from growth_engine.plays.content import ContentSchema, fill
from growth_engine.plays.registry import PACKAGE, play
from growth_engine.plays.selling import sells
from growth_engine.posters import gallery as posters

CATEGORIES: Mapping[str, str] = {
    "saas": N_("Software and online services"),
    "course": N_("Courses and training"),
    "retail": N_("Shops and retail"),
    "community": N_("Communities"),
    "knowledge": N_("Reading and columns"),
    "local": N_("Local services"),
}
"""Lines of business, in the order of the gallery; message ids."""


class UnknownTemplate(NotFound):
    code = "campaign_template_not_found"
    message = N_("There is no ready campaign of this name.")


@dataclass(frozen=True, slots=True)
class Template:
    """A campaign ready to publish, in both languages."""

    slug: str
    play: str
    category: str
    order: int
    """Place in the gallery."""
    poster: str
    """Slug of the ready poster template (``posters.gallery``) that goes with it."""
    duration_days: int
    names: Mapping[str, str]
    summaries: Mapping[str, str]
    copy: Mapping[str, Mapping[str, Any]]
    """Content by locale, valid."""
    configs: Mapping[str, Mapping[str, Any]]
    """Config by locale (names of rewards differ), valid."""
    offers: Sequence[Mapping[str, Any]] = ()
    """What it sells: ``sku``, ``name`` and ``description`` by locale, ``price``, ``stock``."""

    def name(self, locale: str) -> str:
        return self.names[locale]

    def summary(self, locale: str) -> str:
        return self.summaries[locale]

    def config(self, locale: str) -> dict[str, Any]:
        """A fresh copy of the rules."""
        copied: dict[str, Any] = json.loads(json.dumps(self.configs[locale]))
        return copied

    def products(self, locale: str) -> list[dict[str, Any]]:
        """What it sells, for a new campaign: sku, name, description, price in minor units, stock or None."""
        words = ("name", "description")
        return [{**one, **{name: one[name][locale] for name in words}} for one in self.offers]

    def content(self, locale: str, *, brand: str = "") -> dict[str, Any]:
        """A fresh copy of the text; ``brand`` (the workspace's name) replaces the sample brand."""
        copied: dict[str, Any] = json.loads(json.dumps(self.copy[locale]))
        return {**copied, "brand": brand[:_MOST_BRAND].strip() or copied["brand"]}

    def filled(self, locale: str, *, brand: str = "") -> dict[str, Any]:
        """The text as people will read it, for previews."""
        promise = play(self.play).promise(self.config(locale))
        return fill(self.content(locale, brand=brand), promise, locale=locale)

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        """When a campaign made now would start and end."""
        return now, now + timedelta(days=self.duration_days)


_MOST_BRAND = 30


class _InBoth(fields.Field[dict[str, Any]]):
    """A value for each language."""

    def __init__(self, inner: fields.Field[Any], **kwargs: Any) -> None:
        super().__init__(required=True, **kwargs)
        self._inner = inner

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping) or set(value) != set(LOCALES):
            raise ValidationError(f"Give it in {' and '.join(LOCALES)}, and nothing else.")
        return {locale: self._inner.deserialize(value[locale]) for locale in LOCALES}


def _words() -> _InBoth:
    return _InBoth(fields.String(validate=validate.Length(1, 120)))


class ProductSchema(Schema):
    """Something a ready campaign sells."""

    class Meta:
        unknown = RAISE

    sku = fields.String(required=True, validate=validate.Regexp(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z"))
    name = _words()
    description = _InBoth(fields.String(validate=validate.Length(1, 400)))
    price = fields.Integer(required=True, validate=validate.Range(min=1, max=100_000_000))
    stock = fields.Integer(required=True, allow_none=True, validate=validate.Range(min=0, max=10_000_000))


class TemplateSchema(Schema):
    """The JSON document of a ready campaign."""

    class Meta:
        unknown = RAISE

    slug = fields.String(required=True, validate=validate.Regexp(r"[a-z][a-z0-9-]{1,39}\Z"))
    play = fields.String(required=True)
    category = fields.String(required=True, validate=validate.OneOf(list(CATEGORIES)))
    order = fields.Integer(load_default=1000)
    poster = fields.String(required=True)
    duration_days = fields.Integer(load_default=30, validate=validate.Range(min=1, max=365))
    name = _words()
    summary = _words()
    config = fields.Dict(required=True)
    copy = _InBoth(fields.Nested(ContentSchema))
    products = fields.List(fields.Nested(ProductSchema), load_default=list)

    @post_load
    def make(self, data: Mapping[str, Any], **_: Any) -> Template:
        skus = [one["sku"] for one in data["products"]]
        if len(skus) != len(set(skus)):
            raise ValidationError("Two products have the same SKU.", "products")
        if data["poster"] not in posters.slugs():
            raise ValidationError(f"There is no poster template {data['poster']!r}.", "poster")
        return Template(
            slug=data["slug"],
            play=data["play"],
            category=data["category"],
            order=data["order"],
            poster=data["poster"],
            duration_days=data["duration_days"],
            names=data["name"],
            summaries=data["summary"],
            copy=data["copy"],
            configs={locale: _config(data["play"], data["config"], locale) for locale in LOCALES},
            offers=data["products"],
        )


def _config(slug: str, config: Mapping[str, Any], locale: str) -> dict[str, Any]:
    """The rules in one language, valid and complete, as they would be stored."""
    try:
        schema = play(slug).Config(unknown=RAISE)
    except NotFound:
        raise ValidationError(f"There is no play {slug!r}.", "play") from None
    loaded: dict[str, Any] = schema.load(_in_locale(config, locale))
    return loaded


def _in_locale(value: Any, locale: str) -> Any:
    """``{"zh": …, "en": …}`` anywhere in a config becomes the words of one language."""
    if isinstance(value, Mapping):
        if set(value) == set(LOCALES):
            return value[locale]
        return {key: _in_locale(inner, locale) for key, inner in value.items()}
    if isinstance(value, list):
        return [_in_locale(inner, locale) for inner in value]
    return value


def load(documents: Iterable[tuple[str, str]]) -> Mapping[str, Template]:
    """Templates by slug from (file name, JSON); a broken, incomplete or second one stops the boot."""
    found: dict[str, Template] = {}
    for name, text in documents:
        try:
            template: Template = TemplateSchema().load(json.loads(text))
        except (ValueError, ValidationError) as error:
            raise Misconfigured(f"campaigns/templates/{name} is not a ready campaign: {error}") from None
        if f"{template.slug}.json" != name:
            raise Misconfigured(f"campaigns/templates/{name} must be called {template.slug}.json.")
        if template.slug in found:
            raise Misconfigured(f"Two ready campaigns are called {template.slug!r}: rename one.")
        _require_clean(name, template)
        found[template.slug] = template
    return dict(sorted(found.items(), key=lambda item: (item[1].order, item[0])))


def _require_clean(name: str, template: Template) -> None:
    """What the gallery offers must be publishable unchanged: no error and no warning."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    end = start + timedelta(days=template.duration_days)
    for locale in LOCALES:
        content = template.content(locale)
        config = template.config(locale)
        products = template.products(locale) if sells(play(template.play)) else None
        for finding in compliance.check(
            template.play, config, content, starts_at=start, ends_at=end, products=products
        ):
            raise Misconfigured(
                f"campaigns/templates/{name} ({locale}): {finding.code} in {finding.field}: {finding.excerpt}"
            )


@cache
def templates() -> Mapping[str, Template]:
    """Every ready campaign by slug, in the order of the gallery."""
    package = importlib.import_module(PACKAGE)
    files = sorted(
        path for folder in package.__path__ for path in (Path(folder) / "templates").glob("*.json")
    )
    return load((path.name, path.read_text(encoding="utf-8")) for path in files)


def template(slug: str) -> Template:
    try:
        return templates()[slug]
    except KeyError:
        raise UnknownTemplate from None

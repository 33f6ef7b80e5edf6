"""Poster templates as JSON documents: what is allowed, and what to tell the marketer when it is not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, post_load, validate, validates_schema

from growth_engine.channels.storage import content_type_of
from growth_engine.kit.errors import Invalid, NotFound
from growth_engine.kit.i18n import N_
from growth_engine.posters import rules
from growth_engine.posters.rules import (
    HEIGHT,
    WIDTH,
    AvatarLayer,
    Box,
    LogoLayer,
    Paint,
    QrLayer,
    Shadow,
    ShapeLayer,
    Template,
    TextLayer,
)

MAX_LAYERS = 60
_UNKNOWN_TYPE = N_("There are layers of type shape, text, avatar, qr and logo.")
_COLOR = validate.Regexp(r"^#[0-9a-fA-F]{6}\Z", error=N_("A colour is written like #1a2b3c."))
_ANYWHERE = validate.Range(-2000, 3000)


class Color(fields.String):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=_COLOR, **kwargs)


class PictureKey(fields.String):
    """The key of a stored picture, or empty."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        key = str(super()._deserialize(value, *args, **kwargs))
        if key:
            try:
                content_type_of(key)
            except NotFound:
                raise ValidationError(N_("This is not the key of a stored picture.")) from None
        return key


class _Strict(Schema):
    class Meta:
        unknown = RAISE


class PaintSchema(_Strict):
    stops = fields.List(Color(), required=True, validate=validate.Length(2, 6))
    angle = fields.Float(load_default=180.0, validate=validate.Range(-360, 360))
    kind = fields.String(load_default="linear", validate=validate.OneOf(["linear", "radial"]))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Paint:
        return Paint(**{**data, "stops": tuple(data["stops"])})


class PaintField(fields.Field[Paint]):
    """Either one colour, ``"#rrggbb"``, or a gradient, ``{"stops": […], "angle": 135}``."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Paint:
        if isinstance(value, str):
            _COLOR(value)
            return Paint((value,))
        paint: Paint = PaintSchema().load(value)
        return paint


class WordsField(fields.Field[dict[str, str]]):
    """A text in both languages."""

    def __init__(self, *, required_words: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._required_words = required_words

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        if not isinstance(value, Mapping) or set(value) - set(rules.LOCALES):
            raise ValidationError(N_("Give the text in both languages: zh and en."))
        for locale in rules.LOCALES:
            text = value.get(locale, "")
            if not isinstance(text, str) or (self._required_words and not text.strip()):
                raise ValidationError(N_("Give the text in both languages: zh and en."))
            if len(text) > 300:
                raise ValidationError(N_("A text has at most 300 characters."))
        return {locale: value.get(locale, "") for locale in rules.LOCALES}


class BoxField(fields.Field[Box]):
    """``[x, y, width, height]`` in pixels of the 750 x 1334 canvas."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Box:
        numbers = value if isinstance(value, list) else []
        if len(numbers) != 4 or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
            raise ValidationError(N_("A box is four whole numbers: x, y, width, height."))
        for number in numbers:
            _ANYWHERE(number)
        box = Box(*numbers)
        if box.w < 1 or box.h < 1:
            raise ValidationError(N_("A box needs a width and a height of at least 1."))
        if not box.meets(Box(0, 0, WIDTH, HEIGHT)):
            raise ValidationError(N_("This box lies outside the poster."))
        return box


class ShadowSchema(_Strict):
    color = Color(load_default="#000000")
    opacity = fields.Float(load_default=0.18, validate=validate.Range(0, 1))
    blur = fields.Integer(load_default=24, validate=validate.Range(0, 100))
    dx = fields.Integer(load_default=0, validate=validate.Range(-100, 100))
    dy = fields.Integer(load_default=12, validate=validate.Range(-100, 100))

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Shadow:
        return Shadow(**data)


class _LayerSchema(_Strict):
    made: type[Any]
    box = BoxField(required=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> Any:
        return self.made(**data)


class ShapeSchema(_LayerSchema):
    made = ShapeLayer
    shape = fields.String(required=True, validate=validate.OneOf(list(rules.ShapeKind.__args__)))  # type: ignore[attr-defined]
    fill = PaintField(required=True)
    opacity = fields.Float(load_default=1.0, validate=validate.Range(0, 1))
    radius = fields.Integer(load_default=0, validate=validate.Range(0, 700))
    blur = fields.Integer(load_default=0, validate=validate.Range(0, 120))
    stroke = fields.Integer(load_default=0, validate=validate.Range(0, 200))
    angle = fields.Float(load_default=0.0, validate=validate.Range(-360, 360))
    count = fields.Integer(load_default=24, validate=validate.Range(1, 400))
    size = fields.Integer(load_default=12, validate=validate.Range(1, 400))
    seed = fields.Integer(load_default=1, validate=validate.Range(0, 2**31))
    points = fields.List(
        fields.Tuple((fields.Float(), fields.Float())),
        load_default=[],
        validate=validate.Length(max=64),
    )
    colors = fields.List(Color(), load_default=[], validate=validate.Length(max=12))
    shadow = fields.Nested(ShadowSchema, load_default=None, allow_none=True)

    @post_load
    def make(self, data: dict[str, Any], **_: Any) -> ShapeLayer:
        return ShapeLayer(**{**data, "points": tuple(data["points"]), "colors": tuple(data["colors"])})

    @validates_schema
    def _polygon_has_points(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("shape") == "polygon" and len(data.get("points", [])) < 3:
            raise ValidationError(N_("A polygon needs at least three points."), "points")


class TextSchema(_LayerSchema):
    made = TextLayer
    role = fields.String(required=True, validate=validate.OneOf(list(rules.TextRole.__args__)))  # type: ignore[attr-defined]
    text = WordsField(required=True)
    anonymous = WordsField(required_words=False, load_default=dict)
    fill = PaintField(required=True)
    size = fields.Integer(required=True, validate=validate.Range(12, 300))
    min_size = fields.Integer(load_default=rules.MIN_TEXT_SIZE, validate=validate.Range(10, 300))
    weight = fields.Integer(load_default=500, validate=validate.Range(100, 900))
    align = fields.String(load_default="center", validate=validate.OneOf(["left", "center", "right"]))
    valign = fields.String(load_default="middle", validate=validate.OneOf(["top", "middle", "bottom"]))
    max_lines = fields.Integer(load_default=1, validate=validate.Range(1, 12))
    line_height = fields.Float(load_default=1.3, validate=validate.Range(1.0, 2.5))
    tracking = fields.Float(load_default=0.0, validate=validate.Range(-0.05, 1.0))

    @validates_schema
    def _sizes_are_ordered(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("min_size", 0) > data.get("size", 300):
            raise ValidationError(N_("The smallest size must not exceed the size."), "min_size")


class AvatarSchema(_LayerSchema):
    made = AvatarLayer
    fill = PaintField(load_default=lambda: Paint(("#c9d1dc",)))
    ink = Color(load_default="#ffffff")
    ring = fields.Integer(load_default=0, validate=validate.Range(0, 40))
    ring_color = Color(load_default="#ffffff")


class QrSchema(_LayerSchema):
    made = QrLayer
    dark = Color(load_default="#111111")
    light = Color(load_default="#ffffff")
    quiet_zone = fields.Integer(load_default=rules.QUIET_ZONE, validate=validate.Range(0, 12))
    radius = fields.Integer(load_default=0, validate=validate.Range(0, 80))
    logo = PictureKey(load_default="")


class LogoSchema(_LayerSchema):
    made = LogoLayer
    picture = PictureKey(load_default="")
    radius = fields.Integer(load_default=0, validate=validate.Range(0, 200))


_SCHEMAS: dict[str, type[Schema]] = {
    "shape": ShapeSchema,
    "text": TextSchema,
    "avatar": AvatarSchema,
    "qr": QrSchema,
    "logo": LogoSchema,
}


class LayerField(fields.Field[rules.Layer]):
    """A layer; its ``type`` says which of the schemas above it follows."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> rules.Layer:
        if not isinstance(value, Mapping):
            raise ValidationError(N_("A layer is an object."))
        kind = value.get("type")
        if not isinstance(kind, str) or kind not in _SCHEMAS:
            raise ValidationError(
                {"type": [N_("There are layers of type shape, text, avatar, qr and logo.")]}
            )
        rest = {key: item for key, item in value.items() if key != "type"}
        layer: rules.Layer = _SCHEMAS[kind]().load(rest)
        return layer


class TemplateSchema(_Strict):
    """The whole document."""

    name = WordsField(required=True)
    background = PaintField(required=True)
    picture = PictureKey(load_default="")
    layers = fields.List(LayerField(), required=True, validate=validate.Length(1, MAX_LAYERS))

    @validates_schema
    def _one_of_each(self, data: dict[str, Any], **_: Any) -> None:
        layers = data.get("layers", [])
        if sum(isinstance(layer, QrLayer) for layer in layers) != 1:
            raise ValidationError(N_("A poster has exactly one QR code."), "layers")
        if sum(isinstance(layer, AvatarLayer) for layer in layers) > 1:
            raise ValidationError(N_("A poster has at most one avatar."), "layers")


def load_template(document: Mapping[str, Any]) -> Template:
    """A template from its document; raises Invalid with ``errors`` per field."""
    try:
        data = TemplateSchema().load(document)
    except ValidationError as error:
        fields_wrong = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
        raise Invalid(N_("This poster template is not right."), fields=fields_wrong) from None
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return Template(**{**data, "layers": tuple(data["layers"])}, digest=digest)

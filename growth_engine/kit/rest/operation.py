"""What an endpoint says about itself, by decorators; served and documented from the same words."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from growth_engine.kit import i18n, pages
from growth_engine.kit.errors import Invalid

View = TypeVar("View", bound=Callable[..., Any])

DEFAULT_LIMIT = 50
_ATTRIBUTE = "_growth_operation"


class Document(Schema):
    """Base of every shape: what is not known is refused, so that a typing error is seen."""

    class Meta:
        unknown = RAISE


class Moment(fields.DateTime):
    """A time in UTC, RFC 3339; the writer of the JSON renders it."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:  # noqa: ARG002
        return value


class Locale(fields.String):
    """A language we speak, written as any tag of it (``zh-Hans-CN``)."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        tag = i18n.negotiate(super()._deserialize(value, attr, data, **kwargs))
        if tag is None:
            raise ValidationError(i18n.N_("Use zh or en."))
        return tag


class PageQuery(Document):
    """The query string of a list."""

    limit = fields.Integer(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(min=1, max=pages.MAX_LIMIT),
        metadata={"description": "Rows on a page."},
    )
    cursor = fields.String(
        load_default="", metadata={"description": "`next_cursor` of the page before; opaque."}
    )


class Problem(Schema):
    """Every error (RFC 9457, `application/problem+json`)."""

    type = fields.String(required=True, metadata={"description": "`urn:growth-engine:problem:<code>`"})
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "Stable; for programs."})
    detail = fields.String(
        required=True, metadata={"description": "What happened and what to do, for people."}
    )
    request_id = fields.String(required=True)
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "What is wrong, by field path (`contact.phone`)."},
    )


@dataclass(frozen=True, slots=True)
class Operation:
    """What one endpoint needs, takes and answers."""

    scope: str = ""
    body: Schema | None = None
    body_needed: bool = True
    query: Schema | None = None
    answers: Mapping[int, tuple[Schema | None, str]] = field(default_factory=dict)
    refuses: Sequence[int] = ()
    as_is: bool = False
    """The view returns plain values in the form of the schema already: nothing is dumped."""
    mimetype: str | None = None
    """What a view answers with that returns a file's text; ``None``: JSON."""
    transaction: bool = True
    """The view is called with an open ``Ctx`` first."""

    @property
    def success(self) -> int:
        """What a view means that names no status: the answer written topmost."""
        return next(iter(self.answers))


def said(view: Any) -> Operation:
    """What the decorators of a view said."""
    known: Operation = getattr(view, _ATTRIBUTE, Operation())
    return known


def _note(**more: Any) -> Callable[[View], View]:
    def note(view: View) -> View:
        setattr(view, _ATTRIBUTE, replace(said(view), **more))
        return view

    return note


def scope(name: str) -> Callable[[View], View]:
    """The endpoint needs a token with this scope."""
    return _note(scope=name)


def takes(schema: type[Schema], *, needed: bool = True) -> Callable[[View], View]:
    """The endpoint takes a JSON body, loaded and handed to the view as ``body``; none at all is ``{}``
    unless it is ``needed``."""
    return _note(body=schema(), body_needed=needed)


def asks(schema: type[Schema]) -> Callable[[View], View]:
    """The endpoint reads the query string, loaded and handed to the view as ``query``."""
    return _note(query=schema())


def answers(
    status: int, schema: type[Schema] | Schema | None = None, description: str = "", *, as_is: bool = False
) -> Callable[[View], View]:
    """The endpoint answers with this status and shape."""
    shape = schema() if isinstance(schema, type) else schema

    def note(view: View) -> View:
        before = said(view)
        words = description or (shape.__doc__ if shape else "") or "Done."
        return _note(answers={status: (shape, words), **before.answers}, as_is=as_is or before.as_is)(view)

    return note


def gives(mimetype: str, description: str) -> Callable[[View], View]:
    """The endpoint answers with the text of a file."""
    return _note(answers={200: (None, description)}, mimetype=mimetype)


def refuses(*statuses: int) -> Callable[[View], View]:
    """Statuses the endpoint refuses with, besides those that follow from what else it says."""
    return _note(refuses=statuses)


def outside_transaction(view: View) -> View:
    """The view gets no ``Ctx``: what it does is committed elsewhere (by the books' poster), under a key."""
    return _note(transaction=False)(view)


@functools.cache
def page_of(schema: type[Schema]) -> Schema:
    """The shape of a list."""
    members = {
        "items": fields.List(fields.Nested(schema), required=True),
        "next_cursor": fields.String(
            required=True,
            allow_none=True,
            metadata={"description": "`cursor` of the next page; null on the last."},
        ),
        "__doc__": "One page of a list.",
    }
    made: Schema = type(f"{schema.__name__}Page", (Document,), members)()
    return made


class ForeignCursor(Invalid):
    """A cursor that is none, or one of another list."""

    message = i18n.N_("This cursor is not one of this list. Start again without it.")

    def __init__(self) -> None:
        super().__init__(fields={"cursor": [self.message]})


def after(cursor: str, *kinds: type[str] | type[int]) -> tuple[Any, ...] | None:
    """The position inside a cursor, ``None`` for the first page; raises ForeignCursor."""
    if not cursor:
        return None
    position = pages.read_cursor(cursor)
    if len(position) != len(kinds) or not all(map(isinstance, position, kinds)):
        raise ForeignCursor
    return position


def page(items: Sequence[Any], *position: str | int | None) -> pages.Page[Any]:
    """A page; ``position`` is that of its last row when there are more, else ``None``."""
    known = tuple(one for one in position if one is not None)
    return pages.Page(items, pages.write_cursor(known) if known else None)

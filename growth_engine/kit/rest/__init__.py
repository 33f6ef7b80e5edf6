"""The frame of the REST API: endpoints say what they need, take and answer; it serves and documents them."""

from growth_engine.kit.rest.operation import (
    DEFAULT_LIMIT,
    Document,
    ForeignCursor,
    Locale,
    Moment,
    PageQuery,
    after,
    answers,
    asks,
    gives,
    outside_transaction,
    page,
    page_of,
    refuses,
    scope,
    takes,
)
from growth_engine.kit.rest.service import NOTES, PREFIX, Blueprint, description, install
from growth_engine.kit.rest.serving import event_key, flat, not_final

__all__ = [
    "DEFAULT_LIMIT",
    "NOTES",
    "PREFIX",
    "Blueprint",
    "Document",
    "ForeignCursor",
    "Locale",
    "Moment",
    "PageQuery",
    "after",
    "answers",
    "asks",
    "description",
    "event_key",
    "flat",
    "gives",
    "install",
    "not_final",
    "outside_transaction",
    "page",
    "page_of",
    "refuses",
    "scope",
    "takes",
]

"""The editor's form: a campaign's basics, copy and rules as fields, and back again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from werkzeug.datastructures import MultiDict

from growth_engine.kit.i18n import N_
from growth_engine.plays.content import ContentSchema
from growth_engine.plays.contract import Play, option
from growth_engine.web import forms

#: WeCom: users of one contact way, and the length of a user's id.
MOST_USERS, LONGEST_USER = 100, 64
COPY = "copy-"
RULES = "rules-"


class BasicsForm(Schema):
    """What belongs to a campaign whatever its play."""

    class Meta:
        unknown = EXCLUDE

    title = fields.String(
        required=True,
        validate=validate.Length(min=1, max=60),
        metadata=option(N_("Name of the campaign"), N_("For you and your colleagues; people do not see it.")),
    )
    starts_at = fields.AwareDateTime(
        load_default=None,
        allow_none=True,
        default_timezone=UTC,
        metadata=option(N_("Starts at"), N_("Empty: as soon as it is published."), widget="datetime-local"),
    )
    ends_at = fields.AwareDateTime(
        load_default=None,
        allow_none=True,
        default_timezone=UTC,
        metadata=option(N_("Ends at"), widget="datetime-local"),
    )


@dataclass(frozen=True, slots=True)
class Draft:
    """The values of an editor, as typed or as stored, and what is wrong with them."""

    basics: Mapping[str, Any]
    content: Mapping[str, Any]
    config: Mapping[str, Any]
    problems: Mapping[str, Any]
    """By field of the basics; ``content`` and ``config`` hold those of theirs."""
    poster: str = ""
    """``gallery:<slug>`` of a ready poster template, or the id of one of the workspace's own."""
    plan: str = ""
    channel: str | None = None
    """Id of the connected account that carries it, empty for none; None: not asked for."""
    channel_default: bool = False
    """Whoever comes to the channel by themselves takes part."""
    channel_users: str = ""
    """WeCom: ids of the employees whom its codes add, as typed; empty for all who may have customers."""

    @property
    def users(self) -> list[str]:
        """The employees, each once."""
        return list(dict.fromkeys(one for one in re.split(r"[\s,;，；、]+", self.channel_users) if one))


@dataclass(frozen=True, slots=True)
class EditorForm:
    """The fields as the page draws them."""

    basics: dict[str, forms.FormField]
    copy: dict[str, forms.FormField]
    reward: Sequence[forms.FormField]
    selling: Sequence[forms.FormField]
    commission: Sequence[forms.FormField]
    rules: Sequence[forms.FormField]
    protection: Sequence[forms.FormField]

    @property
    def rules_open(self) -> bool:
        return any(one.errors for one in self.rules)

    @property
    def protection_open(self) -> bool:
        return any(one.errors for one in self.protection)


def editor_form(play: Play, draft: Draft, zone: str) -> EditorForm:
    problems = draft.problems
    basics = forms.form_fields(BasicsForm(), draft.basics, problems, zone=zone)
    copy = forms.form_fields(ContentSchema(), draft.content, _inner(problems, "content"), prefix=COPY)
    rules = forms.sections(
        forms.form_fields(play.Config(), draft.config, _inner(problems, "config"), prefix=RULES)
    )
    return EditorForm(
        basics={one.name: one for one in basics},
        copy={one.name.removeprefix(COPY): one for one in copy},
        reward=rules.get("reward", []),
        selling=rules.get("selling", []),
        commission=rules.get("commission", []),
        rules=rules.get("rules", []),
        protection=rules.get("protection", []),
    )


def _inner(problems: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = problems.get(name)
    return found if isinstance(found, Mapping) else {}


def read(play: Play, sent: MultiDict[str, str], zone: str) -> Draft:
    """What was typed, checked field by field; nothing typed is lost when something is wrong."""
    basics = forms.read_form(BasicsForm(), sent, zone=zone)
    content = forms.read_form(ContentSchema(), sent, prefix=COPY)
    config = forms.read_form(play.Config(), sent, prefix=RULES)
    problems: dict[str, Any] = {}
    loaded_basics, problems_found = _load(BasicsForm(), basics)
    problems |= problems_found
    _, wrong = _load(ContentSchema(), content)
    problems |= {"content": wrong} if wrong else {}
    _, wrong = _load(play.Config(), config)
    problems |= {"config": wrong} if wrong else {}
    starts_at, ends_at = loaded_basics.get("starts_at"), loaded_basics.get("ends_at")
    if starts_at and ends_at and ends_at <= starts_at:
        problems["ends_at"] = [N_("The end must come after the start.")]
    draft = Draft(
        basics,
        content,
        config,
        problems,
        sent.get("poster", ""),
        sent.get("plan", ""),
        sent.get("channel"),
        "channel_default" in sent,
        sent.get("channel_users", ""),
    )
    return replace(draft, problems=problems | _wrong_users(draft))


def _wrong_users(draft: Draft) -> dict[str, Any]:
    too_many, too_long = len(draft.users) > MOST_USERS, any(len(one) > LONGEST_USER for one in draft.users)
    if not (too_many or too_long):
        return {}
    return {"channel_users": [N_("At most 100 employees, each by their user id in WeCom.")]}


def _load(schema: Schema, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is valid, and what is wrong by field."""
    try:
        loaded: dict[str, Any] = schema.load(values)
    except ValidationError as error:
        valid = error.valid_data if isinstance(error.valid_data, dict) else {}
        wrong = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
        return valid, wrong
    return loaded, {}


def moments(draft: Draft) -> tuple[datetime | None, datetime | None]:
    """Start and end of a draft without problems."""
    loaded, _ = _load(BasicsForm(), draft.basics)
    return loaded.get("starts_at"), loaded.get("ends_at")


def shown(play: Play, draft: Draft, locale: str) -> tuple[SimpleNamespace, Mapping[str, Any]]:
    """A half-typed draft as something to preview: what is wrong falls back to its default.

    Returns (campaign-like, promise).
    """
    basics, _ = _load(BasicsForm(), draft.basics)
    content = {**ContentSchema().load({}), **_load(ContentSchema(), draft.content)[0]}
    config = {**play.Config().load({}), **_load(play.Config(), draft.config)[0]}
    if not all(
        isinstance(tier, dict) and {"invites", "days"} <= set(tier) for tier in config.get("tiers", ())
    ):
        config["tiers"] = []
    campaign = SimpleNamespace(
        title=basics.get("title", ""),
        locale=locale,
        content=content,
        starts_at=basics.get("starts_at"),
        ends_at=basics.get("ends_at"),
    )
    return campaign, play.promise(config)

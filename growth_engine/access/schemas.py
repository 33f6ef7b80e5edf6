"""Shapes of access forms; labels and helps are message ids."""

from __future__ import annotations

from marshmallow import EXCLUDE, Schema, fields, validate

from growth_engine.access import rules
from growth_engine.kit.i18n import LOCALES, N_

_NAME = validate.Length(min=1, max=60)


class _Form(Schema):
    class Meta:
        unknown = EXCLUDE  # the CSRF token comes along


class SignInForm(_Form):
    email = fields.String(
        required=True,
        validate=validate.Length(max=254),
        metadata={"label": N_("Email"), "widget": "email", "autocomplete": "username"},
    )
    password = fields.String(
        required=True,
        metadata={"label": N_("Password"), "widget": "password", "autocomplete": "current-password"},
    )


class InviteForm(_Form):
    name = fields.String(
        required=True, validate=_NAME, metadata={"label": N_("Full name"), "autocomplete": "off"}
    )
    email = fields.String(
        required=True,
        validate=validate.Length(max=254),
        metadata={"label": N_("Email"), "widget": "email", "autocomplete": "off"},
    )
    role = fields.String(
        load_default="marketer",
        validate=validate.OneOf(list(rules.ROLES), labels=list(rules.ROLES.values())),
        metadata={
            "label": N_("Role"),
            "help": N_("Administrators also manage staff and API tokens; marketers run campaigns."),
        },
    )


class TokenForm(_Form):
    name = fields.String(
        required=True,
        validate=_NAME,
        metadata={"label": N_("Name"), "help": N_("Which program will use it, such as “Online shop”.")},
    )
    scopes = fields.List(
        fields.String(
            validate=validate.OneOf(
                [*rules.SCOPES, rules.ALL],
                labels=[*rules.SCOPES.values(), N_("Everything, now and in future")],
            )
        ),
        required=True,
        validate=validate.Length(min=1, error=N_("Choose at least one scope.")),
        metadata={
            "label": N_("What it may do"),
            "help": N_("Give it only what the program needs."),
            "show_values": True,
        },
    )


class ProfileForm(_Form):
    name = fields.String(
        required=True, validate=_NAME, metadata={"label": N_("Full name"), "autocomplete": "name"}
    )
    locale = fields.String(
        load_default="",
        validate=validate.OneOf(["", *LOCALES], labels=[N_("As the browser asks"), *LOCALES.values()]),
        metadata={"label": N_("Language")},
    )


class PasswordForm(_Form):
    current = fields.String(
        load_default="",
        metadata={
            "label": N_("Present password"),
            "widget": "password",
            "autocomplete": "current-password",
        },
    )
    password = fields.String(
        required=True,
        metadata={
            "label": N_("New password"),
            "help": N_("At least 10 characters. A short sentence is good."),
            "widget": "password",
            "autocomplete": "new-password",
        },
    )

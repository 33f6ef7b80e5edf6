"""Shapes of the forms that connect an account; labels and helps are message ids."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate, validates_schema

from growth_engine.channels.protocol import message_crypt, pay_crypto
from growth_engine.channels.protocol.pay_crypto import API_V3_KEY_BYTES, PUBLIC_KEY_PREFIX
from growth_engine.connections import rules
from growth_engine.connections.service import Entered
from growth_engine.kit.errors import Misconfigured
from growth_engine.kit.i18n import N_

_ID = validate.Regexp(r"[A-Za-z0-9_-]{4,64}\Z", error=N_("Letters and digits only, without spaces."))
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_NEEDED = N_("This is needed.")
CALLBACK, ADVANCED = "callback", "advanced"


def _readable(read: Callable[[str], object]) -> Callable[[str], None]:
    """A check of a key: it must be readable by whoever will use it."""

    def check(value: str) -> None:
        try:
            if value:
                read(value)
        except Misconfigured as error:
            raise ValidationError(error.message) from None

    return check


class ChannelForm(Schema):
    """What all accounts have. ``ids`` and ``secrets`` say where a field is kept."""

    ids: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    """Keys that must be entered when connecting; when correcting an empty one stays as it is."""

    class Meta:
        unknown = EXCLUDE  # the CSRF token comes along

    name = fields.String(
        required=True,
        validate=validate.Length(min=1, max=60),
        metadata={"label": N_("Name"), "help": N_("For your colleagues, such as “Shop account”.")},
    )

    def __init__(self, *, connecting: bool = True) -> None:
        super().__init__()
        self._connecting = connecting
        for name in self.needed:
            self.fields[name].required = connecting

    @validates_schema
    def _keys_are_there(self, data: Mapping[str, Any], **_: Any) -> None:
        missing = {name: [_NEEDED] for name in self.needed if self._connecting and not data.get(name)}
        if missing:
            raise ValidationError(missing)

    def entered(self, data: Mapping[str, Any]) -> Entered:
        return Entered(
            name=data["name"],
            ids={name: data.get(name, "") for name in self.ids},
            settings={name: data[name] for name in self.options},
            secrets={name: data.get(name, "") for name in self.secrets},
        )


def _secret(label: str, help_text: str, **more: Any) -> fields.String:
    return fields.String(
        load_default="",
        metadata={"label": label, "help": help_text, "widget": "password", "autocomplete": "off"},
        **more,
    )


def _text(label: str, help_text: str = "", **more: Any) -> fields.String:
    metadata = {"label": label, "help": help_text, "autocomplete": "off"} | more.pop("metadata", {})
    return fields.String(metadata=metadata, **more)


class _CallbackForm(ChannelForm):
    """Accounts that call us with a token and an EncodingAESKey."""

    token = _text(
        N_("Token"),
        N_("Leave it empty and we make one. Fill it in when the platform has one already."),
        load_default="",
        validate=validate.Regexp(
            rf"[A-Za-z0-9_-]{{0,{rules.TOKEN_LENGTH}}}\Z", error=N_("Up to 32 letters and digits.")
        ),
        metadata={"section": ADVANCED},
    )
    aes_key = _text(
        N_("EncodingAESKey"),
        N_("43 letters and digits. Leave it empty and we make one."),
        load_default="",
        validate=_readable(message_crypt.aes_key),
        metadata={"section": ADVANCED},
    )


class OfficialAccountForm(_CallbackForm):
    ids = ("appid", "original_id")
    options = ("mode", "notice_template", "notice_field")
    secrets = ("app_secret", "token", "aes_key")
    needed = ("app_secret",)

    appid = _text(N_("AppID"), N_("Begins with wx."), required=True, validate=_ID)
    app_secret = _secret(N_("AppSecret"), N_("Shown once by the platform; reset it there if it is lost."))
    original_id = _text(
        N_("Original id"), N_("Begins with gh_. Optional."), load_default="", validate=validate.Length(max=64)
    )
    mode = _text(
        N_("Message encryption"),
        N_("Choose the same at the platform. Only safe mode proves who wrote a message."),
        load_default="safe",
        validate=validate.OneOf(list(rules.MODES), labels=list(rules.MODES.values())),
    )
    notice_template = _text(
        N_("Subscription template"),
        N_("Id of the template news go out with to people who allowed it, when they may not be written to."),
        load_default="",
        validate=validate.Regexp(
            r"[A-Za-z0-9_-]{0,64}\Z", error=N_("Letters and digits only, without spaces.")
        ),
        metadata={"section": ADVANCED},
    )
    notice_field = _text(
        N_("Its field for the news"),
        N_("As the template calls it, such as thing1; it takes 20 characters."),
        load_default="thing1",
        validate=validate.Regexp(r"[a-z_]{1,24}[0-9]{0,3}\Z", error=N_("Such as thing1.")),
        metadata={"section": ADVANCED},
    )


class WecomForm(_CallbackForm):
    ids = ("corpid", "agentid")
    secrets = ("secret", "token", "aes_key")
    needed = ("secret",)

    corpid = _text(N_("Corp ID"), N_("My company → Corp information."), required=True, validate=_ID)
    agentid = _text(
        N_("AgentId"),
        N_("Of the application that is listed under customer contact as allowed to use the interface."),
        load_default="",
        validate=validate.Regexp(r"[0-9]{0,16}\Z", error=N_("Digits only.")),
    )
    secret = _secret(N_("Secret"), N_("Of the same application."))


class PayForm(ChannelForm):
    ids = ("mchid", "appid", "serial_no")
    options = ("transfer_scene", "transfer_job", "transfer_note")
    secrets = ("api_v3_key", "private_key")
    needed = ("api_v3_key", "private_key")

    mchid = _text(
        N_("Merchant number"),
        required=True,
        validate=validate.Regexp(r"[0-9]{6,32}\Z", error=N_("Digits only.")),
    )
    appid = _text(N_("AppID"), N_("The Official Account your customers pay in."), required=True, validate=_ID)
    serial_no = _text(
        N_("Serial number of the API certificate"),
        N_("Account centre → API security → certificate."),
        required=True,
        validate=validate.Regexp(r"[0-9A-Fa-f]{8,64}\Z", error=N_("Digits and the letters A to F.")),
    )
    private_key = _text(
        N_("Merchant's private key"),
        N_("The content of apiclient_key.pem."),
        load_default="",
        validate=_readable(pay_crypto.private_key),
        metadata={"widget": "textarea", "rows": 5},
    )
    api_v3_key = _secret(
        N_("APIv3 key"),
        N_("The 32 characters you chose at the platform."),
        validate=validate.Regexp(
            rf"([\x21-\x7e]{{{API_V3_KEY_BYTES}}})?\Z", error=N_("The APIv3 key must have 32 characters.")
        ),
    )
    public_key_id = _text(
        N_("Id of the platform's public key"),
        N_("Begins with PUB_KEY_ID_. Leave both empty if your merchant number still has certificates."),
        load_default="",
        validate=validate.Regexp(
            rf"({PUBLIC_KEY_PREFIX}[0-9A-Za-z]{{4,64}})?\Z", error=N_("It begins with PUB_KEY_ID_.")
        ),
    )
    public_key = _text(
        N_("Platform's public key"),
        N_("The content of pub_key.pem."),
        load_default="",
        validate=_readable(pay_crypto.public_key),
        metadata={"widget": "textarea", "rows": 5},
    )
    certificates = _text(
        N_("Platform certificates"),
        N_("Only while your merchant number moves from certificates to the public key. Fetched by us too."),
        load_default="",
        validate=_readable(lambda value: pay_crypto.platform_keys([("", one) for one in _pems(value)])),
        metadata={"widget": "textarea", "rows": 3, "section": ADVANCED},
    )
    # What WeChat Pay is told about withdrawals (sheet §4.7); Chinese, for the platform's reviewers read it.
    transfer_scene = _text(
        N_("Scene of withdrawals"),
        N_("The transfer scene that was approved for your merchant number."),
        load_default="1005",
        validate=validate.OneOf(
            ["1005", "1000"], labels=[N_("1005: commission (佣金报酬)"), N_("1000: marketing (现金营销)")]
        ),
        metadata={"section": ADVANCED},
    )
    transfer_job = _text(
        N_("What recipients do for you"),
        N_("岗位类型, or 活动名称 in scene 1000."),
        load_default="推广员",
        validate=validate.Length(min=1, max=32),
        metadata={"section": ADVANCED},
    )
    transfer_note = _text(
        N_("What they are paid for"),
        N_("报酬说明, or 奖励说明 in scene 1000. Recipients read it too."),
        load_default="推广佣金",
        validate=validate.Length(min=1, max=32),
        metadata={"section": ADVANCED},
    )

    @validates_schema
    def _key_and_its_id_belong_together(self, data: Mapping[str, Any], **_: Any) -> None:
        if bool(data.get("public_key")) != bool(data.get("public_key_id")):
            name = "public_key_id" if data.get("public_key") else "public_key"
            raise ValidationError({name: [N_("The platform's public key and its id belong together.")]})

    def entered(self, data: Mapping[str, Any]) -> Entered:
        keys = [(pay_crypto.certificate_serial(pem), pem) for pem in _pems(data.get("certificates", ""))]
        if data.get("public_key"):
            keys.append((data["public_key_id"], data["public_key"]))
        plain = super().entered(data)
        return Entered(plain.name, plain.ids, plain.settings, plain.secrets, tuple(keys))


def _pems(text: str) -> list[str]:
    return _CERTIFICATE.findall(text) or ([text] if text.strip() else [])


FORMS: Final[Mapping[str, type[ChannelForm]]] = {
    "wechat_oa": OfficialAccountForm,
    "wecom": WecomForm,
    "wechat_pay": PayForm,
}

"""Callbacks as the platforms send them, built apart from the crypto of the application."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from growth_engine.connections import service
from growth_engine.connections.service import Entered
from growth_engine.context import Parts

TOKEN = "a-token-of-ours"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OTHER_AES_KEY = "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba"
APPID = "wx2c2769f8efd9abc2"
CORPID = "wx5823bf96d3bd56c7"
MCHID = "1900000109"
API_V3_KEY = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"
PUB_KEY_ID = "PUB_KEY_ID_0119000001092026"
OPENID = "oyORnuP8q7ou2gfYjqLzSIWZf0rs"


def sha1(*parts: str) -> str:
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def encrypt(message: bytes, receiver: str, key: str = AES_KEY, *, pad: int | None = None,
            length: int | None = None) -> str:  # fmt: skip
    """The platform's side of §2.2; ``pad`` and ``length`` write wrong ones."""
    raw_key = base64.b64decode(key + "=")
    plain = b"0123456789abcdef" + struct.pack(">I", len(message) if length is None else length)
    plain += message + receiver.encode()
    size = 32 - len(plain) % 32
    plain += bytes([size if pad is None else pad]) * size
    encryptor = Cipher(algorithms.AES(raw_key), modes.CBC(raw_key[:16])).encryptor()
    return base64.b64encode(encryptor.update(plain) + encryptor.finalize()).decode()


def decrypt(encrypted: str, key: str = AES_KEY) -> tuple[bytes, str]:
    """Message and receiver of an answer."""
    raw_key = base64.b64decode(key + "=")
    decryptor = Cipher(algorithms.AES(raw_key), modes.CBC(raw_key[:16])).decryptor()
    plain = decryptor.update(base64.b64decode(encrypted)) + decryptor.finalize()
    plain = plain[: -plain[-1]]
    (size,) = struct.unpack(">I", plain[16:20])
    return plain[20 : 20 + size], plain[20 + size :].decode()


def document(form: str, values: Mapping[str, Any]) -> bytes:
    if form == "json":
        return json.dumps(values, ensure_ascii=False).encode()
    return f"<xml>{''.join(_element(name, value) for name, value in values.items())}</xml>".encode(
        errors="replace"
    )


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(n, v) for n, v in value.items())}</{name}>"
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    return f"<{name}>{value}</{name}>" if isinstance(value, int) else f"<{name}><![CDATA[{value}]]></{name}>"


@dataclass
class Caller:
    """A platform that calls one connected account."""

    client: FlaskClient
    provider: str
    account: str
    receiver: str = APPID
    token: str = TOKEN
    key: str = AES_KEY
    form: str = "xml"
    numbers: list[int] = field(default_factory=lambda: [0])

    @property
    def path(self) -> str:
        return f"/webhooks/{self.provider}/{self.account}"

    def query(self, encrypted: str = "", **more: str) -> dict[str, str]:
        timestamp, nonce = "1714112445", secrets.token_hex(5)
        query = {"timestamp": timestamp, "nonce": nonce}
        if self.provider == "wechat_oa":
            query["signature"] = sha1(self.token, timestamp, nonce)
            query["openid"] = OPENID
        if encrypted:
            query |= {"msg_signature": sha1(self.token, timestamp, nonce, encrypted)}
            if self.provider == "wechat_oa":
                query["encrypt_type"] = "aes"
        return query | more

    def message(self, **values: Any) -> dict[str, Any]:
        """A message or event with what all of them have."""
        self.numbers[0] += 1
        common: dict[str, Any] = {
            "ToUserName": self.receiver if self.provider == "wecom" else "gh_10f6c3c3ac5a",
            "FromUserName": "sys" if self.provider == "wecom" else OPENID,
            "CreateTime": 1714112445 + self.numbers[0],
            "MsgType": "event",
        }
        return common | values

    def encrypted_body(self, content: bytes, **wrong: Any) -> tuple[bytes, dict[str, str]]:
        encrypted = encrypt(content, wrong.pop("receiver", self.receiver), self.key, **wrong)
        envelope = {"ToUserName": self.receiver, "Encrypt": encrypted}
        return document(self.form, envelope), self.query(encrypted)

    def say(self, _plain: bool = False, **values: Any) -> TestResponse:
        """Send one message: encrypted, unless told otherwise."""
        content = document(self.form, self.message(**values))
        if _plain:
            return self.post(content, self.query())
        return self.post(*self.encrypted_body(content))

    def post(
        self, body: bytes, query: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        kind = "application/json" if self.form == "json" else "text/xml"
        return self.client.post(
            f"{self.path}?{urlencode(query)}", data=body, content_type=kind, headers=dict(headers or {})
        )


def connect_oa(parts: Parts, workspace: str, mode: str = "safe", aes_key: str = AES_KEY) -> str:
    """A connected Official Account; its id."""
    with parts.open(workspace) as ctx:
        return service.connect(
            ctx,
            "wechat_oa",
            Entered(
                "Shop",
                {"appid": APPID, "original_id": "gh_10f6c3c3ac5a"},
                {"mode": mode},
                {"app_secret": "s", "token": TOKEN, "aes_key": aes_key},
            ),
        )


def connect_wecom(parts: Parts, workspace: str) -> str:
    with parts.open(workspace) as ctx:
        return service.connect(
            ctx,
            "wecom",
            Entered(
                "Corp",
                {"corpid": CORPID, "agentid": "218"},
                secrets={"secret": "s", "token": TOKEN, "aes_key": AES_KEY},
            ),
        )


@cache
def platform_key() -> rsa.RSAPrivateKey:
    """The key WeChat Pay signs with."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate() -> tuple[str, str]:
    """A platform certificate over the same key: (serial, PEM)."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Tenpay.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(platform_key().public_key())
        .serial_number(0x5157F09EFDC096DE15EBE81A47057A7232F1B8E1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(platform_key(), hashes.SHA256())
    )
    return format(made.serial_number, "X"), made.public_bytes(serialization.Encoding.PEM).decode()


@cache
def public_pem() -> str:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return platform_key().public_key().public_bytes(serialization.Encoding.PEM, spki).decode()


@cache
def merchant_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def connect_pay(parts: Parts, workspace: str) -> str:
    """A merchant in the middle of its migration: public key and certificate at once."""
    with parts.open(workspace) as ctx:
        return service.connect(
            ctx,
            "wechat_pay",
            Entered(
                "Pay",
                {"mchid": MCHID, "appid": APPID, "serial_no": "1DDE55AD98ED71D6"},
                secrets={"api_v3_key": API_V3_KEY, "private_key": merchant_pem()},
                platform_keys=((PUB_KEY_ID, public_pem()), certificate()),
            ),
        )


def notice(
    event: str, resource: Mapping[str, Any], number: str = "", key: str = API_V3_KEY, aad: str = "transaction"
) -> bytes:
    """The body of a pay callback, resource sealed."""
    nonce = secrets.token_hex(6)
    sealed = AESGCM(key.encode()).encrypt(nonce.encode(), json.dumps(resource).encode(), aad.encode())
    return json.dumps(
        {
            "id": number or secrets.token_hex(16),
            "create_time": "2026-06-01T10:00:00+08:00",
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": "支付成功",
            "resource": {
                "original_type": "transaction",
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": base64.b64encode(sealed).decode(),
                "associated_data": aad,
                "nonce": nonce,
            },
        }
    ).encode()


def pay_headers(body: bytes, at: datetime, serial: str = PUB_KEY_ID) -> dict[str, str]:
    """The headers WeChat Pay signs ``body`` with."""
    timestamp, nonce = str(int(at.timestamp())), secrets.token_hex(16)
    text = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = platform_key().sign(text, padding.PKCS1v15(), hashes.SHA256())
    return {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Signature": base64.b64encode(signature).decode(),
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        "Content-Type": "application/json",
    }


PAYMENT: Mapping[str, Any] = {
    "appid": APPID,
    "mchid": MCHID,
    "out_trade_no": "ord06f3vb",
    "transaction_id": "4200000000202606011234567890",
    "trade_type": "JSAPI",
    "trade_state": "SUCCESS",
    "success_time": "2026-06-01T10:00:00+08:00",
    "payer": {"openid": OPENID},
    "amount": {"total": 9900, "payer_total": 9900, "currency": "CNY", "payer_currency": "CNY"},
    "attach": "",
}

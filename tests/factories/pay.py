"""A merchant, WeChat Pay's own keys, and answers signed as WeChat Pay signs them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from growth_engine.channels.protocol import pay_crypto
from growth_engine.kit.clock import FixedClock

PUB = "PUB_KEY_ID_0114232134912410000000000000"
V3_KEY = "0123456789abcdef0123456789abcdef"
MCH = "1600000001"


def make_key() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


MERCHANT, PLATFORM, OTHER = make_key(), make_key(), make_key()


def pem(key: RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: RSAPrivateKey) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def certificate(key: RSAPrivateKey, serial: int, ends: datetime) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "platform")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(serial).not_valid_before(ends - timedelta(days=1826)).not_valid_after(ends)
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


class Signing:
    """Makes scripted answers as WeChat Pay does: signed over the bytes that are sent."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock, self.key, self.serial, self.skew = clock, PLATFORM, PUB, 0

    def __call__(self, status: int, document: Any = None) -> Callable[[httpx.Request], httpx.Response]:
        def answer(_: httpx.Request) -> httpx.Response:
            body = b"" if document is None else json.dumps(document).encode()
            at = int(self.clock.now().timestamp()) + self.skew
            headers = {
                "Wechatpay-Timestamp": str(at),
                "Wechatpay-Nonce": "n1",
                "Wechatpay-Serial": self.serial,
                "Wechatpay-Signature": pay_crypto.sign(self.key, f"{at}\nn1\n".encode() + body + b"\n"),
                "Wechatpay-Signature-Type": pay_crypto.SCHEME,
                "Request-Id": "08F3-268443699",
            }
            return httpx.Response(status, content=body, headers=headers)

        return answer

    def no(self, status: int, code: str) -> Callable[[httpx.Request], httpx.Response]:
        return self(status, {"code": code, "message": "秘密的说明"})

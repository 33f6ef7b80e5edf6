"""A merchant without a library: signs requests by hand, so that a test can sign them wrongly."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate

from growth_engine.sandbox import Sandbox
from tests.sandbox.conftest import HTTP


class Merchant:
    """Calls to Pay. ``changes`` to a call may name any field of the Authorization, or the path signed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.known = sandbox.credentials["pay"]
        loaded = serialization.load_pem_private_key(self.known["merchant_private_key"].encode(), None)
        assert isinstance(loaded, rsa.RSAPrivateKey)
        self._key = loaded

    def authorization(self, method: str, path: str, body: bytes, **changes: str) -> str:
        fields = {
            "mchid": self.known["mchid"],
            "nonce_str": "nonce",
            "timestamp": str(self.sandbox.world.transport_now()),
            "serial_no": self.known["merchant_serial"],
        } | {name: value for name, value in changes.items() if name != "signed_path"}
        parts = (method, changes.get("signed_path", path), fields["timestamp"], fields["nonce_str"])
        message = "".join(f"{part}\n" for part in parts).encode() + body + b"\n"
        made = self._key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        fields.setdefault("signature", base64.b64encode(made).decode())
        return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in fields.items())

    def call(
        self, method: str, path: str, doc: Any = None, headers: dict[str, str] | None = None, **changes: str
    ) -> httpx.Response:
        body = b"" if doc is None else json.dumps(doc, ensure_ascii=False).encode()
        sent = {"Authorization": self.authorization(method, path, body, **changes)} | (headers or {})
        return HTTP.request(method, self.sandbox.pay_url + path, content=body, headers=sent)

    def sealed(self, text: str) -> str:
        """A sensitive field, encrypted with the platform's public key."""
        key = serialization.load_pem_public_key(self.known["public_key"].encode())
        assert isinstance(key, rsa.RSAPublicKey)
        scheme = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)
        return base64.b64encode(key.encrypt(text.encode(), scheme)).decode()

    def verified(self, answer: httpx.Response) -> str:
        """The serial that signed an answer, after checking the signature over the raw body."""
        signed = answer.headers
        serial = str(signed["Wechatpay-Serial"])
        if serial == self.known["public_key_id"]:
            key: Any = serialization.load_pem_public_key(self.known["public_key"].encode())
        else:
            key = load_pem_x509_certificate(self.known["platform_certificate"].encode()).public_key()
        message = f"{signed['Wechatpay-Timestamp']}\n{signed['Wechatpay-Nonce']}\n".encode()
        key.verify(
            base64.b64decode(signed["Wechatpay-Signature"]),
            message + answer.content + b"\n",
            padding.PKCS1v15(),
            hashes.SHA256(),
        )
        assert signed["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"
        return serial

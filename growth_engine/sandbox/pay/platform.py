"""The platform's certificates and the echo for checking one's signatures (section 4.2)."""

from __future__ import annotations

import json

from cryptography import x509

from growth_engine.sandbox import paycrypto
from growth_engine.sandbox.pay.service import PayRefused
from growth_engine.sandbox.serving import Call, Routes
from growth_engine.sandbox.store import Doc

routes = Routes()


@routes("GET", "/v3/certificates")
def certificates(call: Call) -> Doc:
    merchant = call.account
    if merchant["mode"] == "public_key":
        raise PayRefused("RESOURCE_NOT_EXISTS", "无可用的平台证书，请在商户平台-API安全申请使用微信支付公钥")
    pem = merchant["platform_certificate"]
    found = x509.load_pem_x509_certificate(pem.encode())
    nonce = call.world.random_text(paycrypto.NONCE_CHARACTERS)
    sealed = {
        "algorithm": paycrypto.ALGORITHM,
        "nonce": nonce,
        "associated_data": "certificate",
        "ciphertext": paycrypto.seal(merchant["api_v3_key"], pem.encode(), nonce, "certificate"),
    }
    one = {
        "serial_no": merchant["platform_serial"],
        "effective_time": found.not_valid_before_utc.isoformat(),
        "expire_time": found.not_valid_after_utc.isoformat(),
        "encrypt_certificate": sealed,
    }
    return {"data": [one]}


@routes("POST", "/v3/security/echo")
def echo(call: Call) -> Doc:
    """Give back what came; the real one's fields are not published in the sheet."""
    found: Doc = json.loads(json.dumps(call.json()))
    return found

"""The sandbox's Pay crypto: published vectors and the openssl command."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from growth_engine.sandbox import paycrypto
from growth_engine.sandbox.oa import jssdk

DOCUMENT = json.loads((Path(__file__).parents[1] / "vectors" / "wechat.json").read_text())
BY_ID = {one["id"]: one for one in DOCUMENT["vectors"]}


@pytest.fixture(scope="module")
def key() -> str:
    return paycrypto.new_key()


def test_sealing_a_resource_gives_the_published_text() -> None:
    one = BY_ID["gcm_java32"]
    made = paycrypto.seal(one["key"], one["plaintext"].encode(), one["nonce"], one["aad"])
    assert made == one["ciphertext"]


def test_a_key_of_16_bytes_is_no_key_of_pay() -> None:
    with pytest.raises(AssertionError):
        paycrypto.seal(BY_ID["gcm_go16"]["key"], b"x", "0123456789ab", "")


@pytest.mark.parametrize("name", ["rsa_paysign_jsapi_1", "rsa_paysign_app"])
def test_the_published_pay_signatures_verify(name: str) -> None:
    numbers = rsa.RSAPublicNumbers(DOCUMENT["rsa_exponent"], int(DOCUMENT["rsa_modulus_hex"], 16))
    pem = numbers.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    one = BY_ID[name]
    assert paycrypto.verify(pem.decode(), one["message"].encode(), one["signature"])
    assert not paycrypto.verify(pem.decode(), one["message"].encode() + b" ", one["signature"])


@pytest.mark.parametrize("name", ["js_with_query", "js_bare"])
def test_the_published_page_signatures_come_out(name: str) -> None:
    fields = dict(part.split("=", 1) for part in BY_ID[name]["string"].split("&", 3))
    made = jssdk.signature(
        fields["jsapi_ticket"], fields["noncestr"], fields["timestamp"], fields["url"] + "#part"
    )
    assert made == BY_ID[name]["sha1"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not there")
def test_openssl_agrees_on_signatures_both_ways(key: str, tmp_path: Path) -> None:
    message = paycrypto.lines("POST", "/v3/pay/transactions/jsapi", "1795000000", "nonce", '{"a":"中"}')
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "private.pem").write_text(key)
    (tmp_path / "public.pem").write_text(paycrypto.public_pem(key))
    (tmp_path / "ours").write_bytes(base64.b64decode(paycrypto.sign(key, message)))

    def openssl(*arguments: str) -> bytes:
        done = subprocess.run(["openssl", "dgst", "-sha256", *arguments], cwd=tmp_path, capture_output=True)
        assert done.returncode == 0, done
        return done.stdout

    assert b"Verified OK" in openssl("-verify", "public.pem", "-signature", "ours", "message")
    theirs = openssl("-sign", "private.pem", "message")
    assert paycrypto.verify(paycrypto.public_pem(key), message, base64.b64encode(theirs).decode())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not there")
def test_openssl_encrypts_what_we_open(key: str, tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_text(paycrypto.public_pem(key))
    (tmp_path / "name").write_text("张三")
    sealed = subprocess.run(
        ["openssl", "pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "name",
         "-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha1"],
        cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    assert paycrypto.unseal_field(key, base64.b64encode(sealed.stdout).decode()) == "张三"


@pytest.mark.parametrize("sealed", ["not base64!", base64.b64encode(b"x" * 256).decode()])
def test_a_field_encrypted_for_somebody_else_is_refused(key: str, sealed: str) -> None:
    with pytest.raises(paycrypto.BadCipher):
        paycrypto.unseal_field(key, sealed)


def test_a_signature_that_is_no_base64_is_wrong_not_an_error(key: str) -> Any:
    assert not paycrypto.verify(paycrypto.public_pem(key), b"x", "WECHATPAY/SIGNTEST/!!")

"""WeChat Pay's signatures and seals: the published vectors, the openssl command, and everything forged."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicNumbers
from hypothesis import given, settings
from hypothesis import strategies as st

from growth_engine.channels.protocol import pay_crypto as pay
from growth_engine.channels.protocol.pay_crypto import (
    PlatformKeys,
    ResourceUnreadable,
    SignatureProblem,
    SignatureRefused,
)
from growth_engine.kit.errors import Misconfigured

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "wechat.json").read_text(encoding="utf-8")
)
NOW = 1_780_000_000
PUB = "PUB_KEY_ID_0114232134912410000000000000"
API_V3_KEY = "a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb"


def of_kind(kind: str) -> list[Any]:
    return [pytest.param(v, id=v["id"]) for v in VECTORS["vectors"] if v["kind"] == kind]


@pytest.fixture(scope="module")
def merchant() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def platform() -> RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


SOME_KEYS = PlatformKeys({PUB: rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()})


def pem_of(key: RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem_of(key: RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def certificate_of(key: RSAPrivateKey, serial: int) -> str:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Tenpay.com Root CA")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=5 * 365))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def headers(
    key: RSAPrivateKey, body: bytes, *, at: int = NOW, serial: str = PUB, nonce: str = "abc"
) -> dict[str, str]:
    return {
        "Wechatpay-Timestamp": str(at),
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": serial,
        "Wechatpay-Signature": pay.sign(key, f"{at}\n{nonce}\n".encode() + body + b"\n"),
        "Wechatpay-Signature-Type": pay.SCHEME,
    }


@pytest.mark.parametrize("vector", of_kind("rsa_verify"))
def test_published_signatures_verify_and_changed_texts_do_not(vector: dict[str, str]) -> None:
    numbers = RSAPublicNumbers(VECTORS["rsa_exponent"], int(VECTORS["rsa_modulus_hex"], 16))
    key, text = numbers.public_key(), vector["message"].encode()
    assert pay.signed_by(key, vector["signature"], text)
    assert not pay.signed_by(key, vector["signature"], text + b"\n")
    assert not pay.signed_by(key, vector["signature"], text.replace(b"1554208460", b"1554208461"))


@pytest.mark.parametrize("vector", of_kind("gcm"))
def test_published_seals_open(vector: dict[str, str]) -> None:
    opened = pay.open_sealed(
        vector["key"].encode(), nonce=vector["nonce"], aad=vector["aad"], ciphertext=vector["ciphertext"]
    )
    assert opened == vector["plaintext"].encode()


def test_our_resource_opens_and_every_change_is_noticed() -> None:
    (vector,) = [v for v in VECTORS["vectors"] if v["id"] == "gcm_java32"]
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": vector["nonce"],
        "associated_data": vector["aad"],
        "ciphertext": vector["ciphertext"],
    }
    assert pay.decrypt_resource(vector["key"], resource) == b"message"
    sealed = base64.b64decode(vector["ciphertext"])
    for place in range(len(sealed)):
        damaged = bytearray(sealed)
        damaged[place] ^= 1
        with pytest.raises(ResourceUnreadable):
            pay.decrypt_resource(vector["key"], resource | {"ciphertext": base64.b64encode(damaged).decode()})
    for change in (
        {"associated_data": "other"},
        {"associated_data": None},
        {"associated_data": 1},
        {"nonce": "uluk4a9R25RX"},
        {"nonce": "short"},
        {"nonce": None},
        {"ciphertext": "not Base64!"},
        {"ciphertext": ""},
        {"ciphertext": None},
        {"algorithm": "AEAD_AES_128_GCM"},
    ):
        with pytest.raises(ResourceUnreadable):
            pay.decrypt_resource(vector["key"], resource | change)
    with pytest.raises(Misconfigured):
        pay.decrypt_resource("testAPIv3Key0000", resource)  # 16 characters would be AES-128


def test_a_resource_without_associated_data_opens() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    for aad in ("", None):
        sealed = AESGCM(API_V3_KEY.encode()).encrypt(b"0123456789ab", "读".encode(), b"")
        resource = {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": "0123456789ab",
            "ciphertext": base64.b64encode(sealed).decode(),
            "associated_data": aad,
        }
        assert pay.decrypt_resource(API_V3_KEY, resource).decode() == "读"


def test_openssl_believes_our_authorization_header(merchant: RSAPrivateKey, tmp_path: Path) -> None:
    body = '{"description":"会员","amount":{"total":1}}'.encode()
    header = pay.authorization(
        mch_id="1900000001",
        serial_no="5F3A",
        key=merchant,
        method="POST",
        path_and_query="/v3/pay/transactions/jsapi?a=b",
        timestamp=NOW,
        nonce="593BEC0C930BF1AF",
        body=body,
    )
    scheme, _, rest = header.partition(" ")
    fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    assert scheme == "WECHATPAY2-SHA256-RSA2048"
    assert set(fields) == {"mchid", "nonce_str", "timestamp", "serial_no", "signature"}
    (tmp_path / "text").write_bytes(
        b"POST\n/v3/pay/transactions/jsapi?a=b\n1780000000\n593BEC0C930BF1AF\n" + body + b"\n"
    )
    (tmp_path / "signature").write_bytes(base64.b64decode(fields["signature"]))
    (tmp_path / "public.pem").write_text(public_pem_of(merchant))
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "text"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "Verified OK"


def test_we_believe_what_openssl_signs(platform: RSAPrivateKey, tmp_path: Path) -> None:
    body = b'{"id":"1"}'
    (tmp_path / "private.pem").write_text(pem_of(platform))
    (tmp_path / "text").write_bytes(f"{NOW}\nnonce\n".encode() + body + b"\n")
    command = ["openssl", "dgst", "-sha256", "-sign", "private.pem", "text"]
    signature = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout
    keys = pay.platform_keys([(PUB, public_pem_of(platform))])
    sent = {
        "wechatpay-timestamp": str(NOW),
        "wechatpay-nonce": "nonce",
        "wechatpay-serial": PUB,
        "wechatpay-signature": base64.b64encode(signature).decode(),
    }
    assert pay.verify(keys, sent, body, now=NOW) == PUB


def test_openssl_opens_a_sealed_name(platform: RSAPrivateKey, tmp_path: Path) -> None:
    (tmp_path / "private.pem").write_text(pem_of(platform))
    (tmp_path / "sealed").write_bytes(base64.b64decode(pay.seal_name(platform.public_key(), "张三")))
    command = ["openssl", "pkeyutl", "-decrypt", "-inkey", "private.pem", "-in", "sealed"]
    for option in ("rsa_padding_mode:oaep", "rsa_oaep_md:sha1", "rsa_mgf1_md:sha1"):
        command += ["-pkeyopt", option]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout.decode() == "张三"


def test_another_library_and_we_believe_each_other(merchant: RSAPrivateKey, platform: RSAPrivateKey) -> None:
    from wechatpayv3 import utils

    body = '{"id":"1","字":"文"}'
    theirs = utils.build_authorization("/v3/x?a=b", "POST", "16", "5F", merchant, body, "n1")
    fields = dict(re.findall(r'(\w+)="([^"]*)"', theirs))
    text = pay.request_text("POST", "/v3/x?a=b", int(fields["timestamp"]), "n1", body.encode())
    assert pay.signed_by(merchant.public_key(), fields["signature"], text)
    sent = headers(platform, body.encode())
    assert utils.rsa_verify(str(NOW), "abc", body, sent["Wechatpay-Signature"], platform.public_key())
    assert utils.rsa_decrypt(pay.seal_name(platform.public_key(), "张三"), platform) == "张三"


def test_pay_sign_covers_four_lines(merchant: RSAPrivateKey) -> None:
    (vector,) = [v for v in VECTORS["vectors"] if v["id"] == "rsa_paysign_jsapi_1"]
    app_id, timestamp, nonce, package = vector["message"].splitlines()
    signature = pay.pay_sign(
        merchant,
        app_id=app_id,
        timestamp=int(timestamp),
        nonce=nonce,
        prepay_id=package.removeprefix("prepay_id="),
    )
    assert pay.signed_by(merchant.public_key(), signature, vector["message"].encode())


def test_public_key_and_certificates_are_held_at_once(
    merchant: RSAPrivateKey, platform: RSAPrivateKey
) -> None:
    certificate = certificate_of(merchant, 0x5157F09EFDC096DE15EBE81A47057A7232F1B8E1)
    keys = pay.platform_keys([(PUB, public_pem_of(platform)), ("typed wrongly", certificate)])
    hex_serial = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
    assert pay.certificate_serial(certificate) == hex_serial
    assert pay.verify(keys, headers(platform, b"a"), b"a", now=NOW) == PUB
    assert pay.verify(keys, headers(merchant, b"a", serial=hex_serial), b"a", now=NOW) == hex_serial
    # The serial chooses the key: the other key's signature under it is worth nothing.
    refused(SignatureProblem.WRONG, keys, headers(merchant, b"a"), b"a")
    assert keys.sealing is not None
    assert keys.sealing[0] == PUB
    assert PlatformKeys().sealing is None


def test_a_serial_that_begins_with_zero_is_the_same_with_and_without_it(
    merchant: RSAPrivateKey, tmp_path: Path
) -> None:
    """One certificate in eight: openssl and the platform's page show the zero, other programs drop it."""
    certificate = certificate_of(merchant, 0x057F09EFDC096DE15EBE81A47057A7232F1B8E1)
    file = tmp_path / "certificate.pem"
    file.write_text(certificate, encoding="utf-8")
    asked = ["openssl", "x509", "-in", str(file), "-noout", "-serial"]
    shown = subprocess.run(asked, capture_output=True, check=True, text=True).stdout.strip()
    serial = pay.certificate_serial(certificate)
    assert shown == f"serial={serial}"
    keys = pay.platform_keys([("", certificate), (PUB, public_pem_of(merchant))])
    for named in (serial, serial.lstrip("0"), serial.lower(), f"00{serial}"):
        assert pay.verify(keys, headers(merchant, b"a", serial=named), b"a", now=NOW) == named
    for strange in ("", "0", PUB.lower(), f"{PUB}0", f"{serial}0"):
        assert keys.find(strange) is None


def refused(problem: SignatureProblem, keys: PlatformKeys, sent: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureRefused) as caught:
        pay.verify(keys, sent, body, now=NOW)
    assert caught.value.problem == problem


@pytest.fixture(scope="module")
def keys(platform: RSAPrivateKey) -> PlatformKeys:
    return pay.platform_keys([(PUB, public_pem_of(platform))])


def test_an_empty_body_is_signed_too(keys: PlatformKeys, platform: RSAPrivateKey) -> None:
    assert pay.verify(keys, headers(platform, b""), b"", now=NOW) == PUB


@pytest.mark.parametrize("name", ["Timestamp", "Nonce", "Serial", "Signature"])
def test_a_missing_header_is_refused(keys: PlatformKeys, platform: RSAPrivateKey, name: str) -> None:
    for value in (None, ""):
        sent: dict[str, Any] = headers(platform, b"{}") | {f"Wechatpay-{name}": value}
        refused(
            SignatureProblem.HEADERS_MISSING, keys, {k: v for k, v in sent.items() if v is not None}, b"{}"
        )


@pytest.mark.parametrize("timestamp", ["-1", "1e9", "٣", "1780000000\n", "9" * 13, "now"])
def test_a_timestamp_that_is_no_number_is_refused(
    keys: PlatformKeys, platform: RSAPrivateKey, timestamp: str
) -> None:
    sent = headers(platform, b"{}") | {"Wechatpay-Timestamp": timestamp}
    refused(SignatureProblem.HEADERS_MISSING, keys, sent, b"{}")


def test_five_minutes_are_accepted_and_a_second_more_is_not(
    keys: PlatformKeys, platform: RSAPrivateKey
) -> None:
    for age in (-300, 0, 300):
        pay.verify(keys, headers(platform, b"{}", at=NOW - age), b"{}", now=NOW)
    for age in (-301, 301, 3600):
        refused(SignatureProblem.STALE, keys, headers(platform, b"{}", at=NOW - age), b"{}")


def test_an_unknown_serial_is_refused_and_named(keys: PlatformKeys, platform: RSAPrivateKey) -> None:
    with pytest.raises(SignatureRefused) as caught:
        pay.verify(keys, headers(platform, b"{}", serial="7132D7"), b"{}", now=NOW)
    assert caught.value.problem is SignatureProblem.UNKNOWN_SERIAL
    assert caught.value.serial == "7132D7"


def test_a_probe_is_refused(keys: PlatformKeys, platform: RSAPrivateKey) -> None:
    sent = headers(platform, b"{}")
    sent["Wechatpay-Signature"] = "WECHATPAY/SIGNTEST/" + sent["Wechatpay-Signature"]
    refused(SignatureProblem.PROBE, keys, sent, b"{}")


def test_another_scheme_is_refused(keys: PlatformKeys, platform: RSAPrivateKey) -> None:
    sent = headers(platform, b"{}") | {"Wechatpay-Signature-Type": "WECHATPAY2-SM2-WITH-SM3"}
    refused(SignatureProblem.HEADERS_MISSING, keys, sent, b"{}")


def test_a_body_written_anew_is_refused(keys: PlatformKeys, platform: RSAPrivateKey) -> None:
    body = b'{"id": "1", "amount": 2}'
    sent = headers(platform, body)
    assert pay.verify(keys, sent, body, now=NOW) == PUB
    rewritten = json.dumps(json.loads(body), separators=(",", ":")).encode()
    for other in (rewritten, body + b" ", body[:-1], b"", body.replace(b"2", b"3")):
        refused(SignatureProblem.WRONG, keys, sent, other)


def test_a_changed_nonce_time_or_signature_is_refused(keys: PlatformKeys, platform: RSAPrivateKey) -> None:
    sent = headers(platform, b"{}")
    flipped = bytearray(base64.b64decode(sent["Wechatpay-Signature"]))
    flipped[10] ^= 1
    for change in (
        {"Wechatpay-Nonce": "abd"},
        {"Wechatpay-Timestamp": str(NOW + 1)},
        {"Wechatpay-Signature": base64.b64encode(flipped).decode()},
        {"Wechatpay-Signature": "AAAA"},
        {"Wechatpay-Signature": "*"},
    ):
        refused(SignatureProblem.WRONG, keys, sent | change, b"{}")


def test_files_that_are_no_keys_are_one_clear_error_that_quotes_nothing() -> None:
    for call in (
        lambda: pay.private_key("my secret scribble"),
        lambda: pay.private_key("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"),
        lambda: pay.public_key("my secret scribble"),
        lambda: pay.platform_keys([(PUB, "-----BEGIN CERTIFICATE-----\nsecret")]),
    ):
        with pytest.raises(Misconfigured) as caught:
            call()
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__


@settings(max_examples=400)
@given(
    sent=st.dictionaries(
        st.sampled_from([f"Wechatpay-{name}" for name in ("Timestamp", "Nonce", "Serial", "Signature")]),
        st.one_of(st.text(max_size=40), st.just(str(NOW)), st.just(PUB)),
    ),
    body=st.binary(max_size=60),
)
def test_whatever_is_sent_is_refused_and_nothing_breaks(sent: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureRefused):
        pay.verify(SOME_KEYS, sent, body, now=NOW)


@settings(max_examples=400)
@given(
    resource=st.fixed_dictionaries(
        {"algorithm": st.one_of(st.just("AEAD_AES_256_GCM"), st.text(max_size=5))},
        optional={
            name: st.one_of(st.text(max_size=40), st.integers(), st.none(), st.lists(st.integers()))
            for name in ("nonce", "associated_data", "ciphertext")
        },
    )
)
def test_whatever_is_sealed_by_others_is_refused_and_nothing_breaks(resource: dict[str, Any]) -> None:
    with pytest.raises(ResourceUnreadable):
        pay.decrypt_resource(API_V3_KEY, resource)

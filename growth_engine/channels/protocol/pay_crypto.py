"""WeChat Pay APIv3: how requests, answers and callbacks are signed and sealed (sheet §4.1 to §4.3)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from growth_engine.kit.errors import GrowthError, Misconfigured
from growth_engine.kit.i18n import N_

SCHEME = "WECHATPAY2-SHA256-RSA2048"
#: Serials of platform public keys begin so; everything else is a platform certificate's hex serial (§4.2).
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"
#: Probes with a wrong signature on purpose: the platform looks whether we check (§4.2).
PROBE_PREFIX = "WECHATPAY/SIGNTEST/"
#: An answer or callback may be so old, or so far ahead of us (§4.2).
TIME_WINDOW_SECONDS = 300
#: The APIv3 key is 32 ASCII characters, used as AES-256 key as they are (§4.3).
API_V3_KEY_BYTES = 32
RESOURCE_ALGORITHM = "AEAD_AES_256_GCM"
#: Real nonces have 12 bytes, documents show 13; AES-GCM itself takes 8 and more (§4.3).
SHORTEST_NONCE_BYTES = 8

# Only what the timestamp and a header can hold: nothing that would let a line of the signed text be moved.
_DIGITS = re.compile(r"[0-9]{1,12}")


class SignatureProblem(StrEnum):
    """Why something that claims to come from WeChat Pay is not believed, in the order of the checks."""

    HEADERS_MISSING = "headers_missing"
    STALE = "stale"
    UNKNOWN_SERIAL = "unknown_serial"
    PROBE = "probe"
    WRONG = "wrong"


class SignatureRefused(GrowthError):
    """Not believed: no right signature of WeChat Pay. The answer to such a callback is 401."""

    code = "pay_signature_refused"
    status = 401
    message = N_("This does not carry a valid signature of WeChat Pay.")

    def __init__(self, problem: SignatureProblem, serial: str = "") -> None:
        super().__init__()
        self.problem = problem
        self.serial = serial
        """The serial the sender named (public), to fetch certificates when it is unknown."""


class ResourceUnreadable(GrowthError):
    """A sealed resource cannot be opened: another APIv3 key, or damaged on its way."""

    code = "pay_resource_unreadable"
    status = 400
    message = N_("The content cannot be decrypted. Check the APIv3 key.")


@dataclass(frozen=True, slots=True)
class PlatformKeys:
    """The platform's public keys by serial: public-key mode and certificates at once, because during a
    migration both sign (§4.2)."""

    by_serial: Mapping[str, RSAPublicKey] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_serial", MappingProxyType(dict(self.by_serial)))

    def find(self, serial: str) -> RSAPublicKey | None:
        """The key of a serial. Programs differ in the zeros in front of a certificate's and in its case."""
        if serial in self.by_serial or serial.startswith(PUBLIC_KEY_PREFIX):
            return self.by_serial.get(serial)
        bare = serial.upper().lstrip("0")
        certificates = (one for one in self.by_serial if not one.startswith(PUBLIC_KEY_PREFIX))
        return next((self.by_serial[one] for one in certificates if one.upper().lstrip("0") == bare), None)

    def with_(self, more: PlatformKeys) -> PlatformKeys:
        return PlatformKeys({**self.by_serial, **more.by_serial})

    @property
    def sealing(self) -> tuple[str, RSAPublicKey] | None:
        """Serial and key to encrypt names with: the public key where there is one (it never expires)."""
        ordered = sorted(self.by_serial, key=lambda serial: not serial.startswith(PUBLIC_KEY_PREFIX))
        return (ordered[0], self.by_serial[ordered[0]]) if ordered else None


def platform_keys(pems: Iterable[tuple[str, str]]) -> PlatformKeys:
    """Keys from (serial, PEM) pairs; a PEM is a public key or a certificate.

    A certificate's serial is read from itself, so that a wrong one typed beside it cannot hide the key.
    """
    keys: dict[str, RSAPublicKey] = {}
    for serial, pem in pems:
        if "BEGIN CERTIFICATE" in pem:
            certificate = _certificate(pem)
            keys[serial_of(certificate)] = _rsa(certificate.public_key())
        else:
            keys[serial.strip()] = public_key(pem)
    return PlatformKeys(keys)


def private_key(pem: str) -> RSAPrivateKey:
    """The merchant's key (apiclient_key.pem)."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):
        # Not chained: the parser's complaint may quote what it read.
        raise Misconfigured(N_("The merchant's private key is no PEM file without a password.")) from None
    if not isinstance(key, RSAPrivateKey):
        raise Misconfigured(N_("The merchant's private key is no RSA key."))
    return key


def public_key(pem: str) -> RSAPublicKey:
    try:
        return _rsa(serialization.load_pem_public_key(pem.encode()))
    except ValueError:
        raise Misconfigured(N_("The platform's public key is no PEM file.")) from None


def certificate_serial(pem: str) -> str:
    """The serial number of a certificate (merchant or platform) as WeChat writes it: upper-case hex."""
    return serial_of(_certificate(pem))


def serial_of(certificate: x509.Certificate) -> str:
    """As ``openssl x509 -serial`` shows it, and the merchant platform: two digits for each byte."""
    number = format(certificate.serial_number, "X")
    return number.zfill(len(number) + len(number) % 2)


def request_text(method: str, path_and_query: str, timestamp: int, nonce: str, body: bytes) -> bytes:
    """The five lines a request is signed over; never the host (§4.1)."""
    return f"{method}\n{path_and_query}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def authorization(
    *,
    mch_id: str,
    serial_no: str,
    key: RSAPrivateKey,
    method: str,
    path_and_query: str,
    timestamp: int,
    nonce: str,
    body: bytes,
) -> str:
    """The Authorization header. ``body`` must be the very bytes that are sent (§4.1)."""
    signature = sign(key, request_text(method, path_and_query, timestamp, nonce, body))
    fields = {
        "mchid": mch_id,
        "nonce_str": nonce,
        "timestamp": str(timestamp),
        "serial_no": serial_no,
        "signature": signature,
    }
    return f"{SCHEME} " + ",".join(f'{name}="{value}"' for name, value in fields.items())


def pay_sign(key: RSAPrivateKey, *, app_id: str, timestamp: int, nonce: str, prepay_id: str) -> str:
    """The paySign a phone page needs: four lines, ``signType`` is sent but not signed (§4.1)."""
    return sign(key, f"{app_id}\n{timestamp}\n{nonce}\nprepay_id={prepay_id}\n".encode())


def sign(key: RSAPrivateKey, text: bytes) -> str:
    return base64.b64encode(key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()


def signed_by(key: RSAPublicKey, signature: str, text: bytes) -> bool:
    """Whether ``signature`` (Base64) is SHA256withRSA of ``text`` by the owner of ``key``."""
    try:
        key.verify(base64.b64decode(signature, validate=True), text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def verify(keys: PlatformKeys, headers: Mapping[str, str], body: bytes, *, now: int) -> str:
    """Believe an answer or a callback, or raise SignatureRefused; returns the serial that signed.

    ``body`` are the raw bytes as they came; ``headers`` may have any case; ``now`` in seconds.
    The order is the sheet's (§4.2): headers, time, serial, signature.
    """
    timestamp, nonce, signature, serial = (
        _header(headers, f"Wechatpay-{name}") for name in ("Timestamp", "Nonce", "Signature", "Serial")
    )
    if not (timestamp and nonce and signature and serial and nonce.isascii()):
        raise SignatureRefused(SignatureProblem.HEADERS_MISSING, serial)
    if not _DIGITS.fullmatch(timestamp):
        raise SignatureRefused(SignatureProblem.HEADERS_MISSING, serial)
    if _header(headers, "Wechatpay-Signature-Type") not in ("", SCHEME):
        raise SignatureRefused(SignatureProblem.HEADERS_MISSING, serial)
    if abs(now - int(timestamp)) > TIME_WINDOW_SECONDS:
        raise SignatureRefused(SignatureProblem.STALE, serial)
    key = keys.find(serial)
    if key is None:
        raise SignatureRefused(SignatureProblem.UNKNOWN_SERIAL, serial)
    if signature.startswith(PROBE_PREFIX):
        raise SignatureRefused(SignatureProblem.PROBE, serial)
    if not signed_by(key, signature, f"{timestamp}\n{nonce}\n".encode() + body + b"\n"):
        raise SignatureRefused(SignatureProblem.WRONG, serial)
    return serial


def decrypt_resource(api_v3_key: str, resource: Mapping[str, Any]) -> bytes:
    """Open a sealed ``resource`` of a callback or of the certificate list (§4.3)."""
    if resource.get("algorithm") != RESOURCE_ALGORITHM:
        raise ResourceUnreadable
    key = api_v3_key.encode()
    if len(key) != API_V3_KEY_BYTES:
        raise Misconfigured(N_("The APIv3 key must have 32 characters."))
    nonce, aad, sealed = (resource.get(name) for name in ("nonce", "associated_data", "ciphertext"))
    if not isinstance(nonce, str) or not isinstance(sealed, str) or not isinstance(aad, str | None):
        raise ResourceUnreadable
    try:
        return open_sealed(key, nonce=nonce, aad=aad or "", ciphertext=sealed)
    except ValueError:
        raise ResourceUnreadable from None


def open_sealed(key: bytes, *, nonce: str, aad: str, ciphertext: str) -> bytes:
    """AES-GCM, Base64 of ciphertext and tag; raises ValueError when anything was changed."""
    if len(nonce.encode()) < SHORTEST_NONCE_BYTES:
        raise ValueError("the nonce is too short")
    try:
        return AESGCM(key).decrypt(nonce.encode(), base64.b64decode(ciphertext, validate=True), aad.encode())
    except InvalidTag:
        raise ValueError("the seal is broken") from None


def seal_name(key: RSAPublicKey, text: str) -> str:
    """Encrypt a person's name for a request: RSA-OAEP, SHA-1 and MGF1-SHA-1 as the platform asks (§4.2)."""
    oaep = padding.OAEP(
        mgf=padding.MGF1(hashes.SHA1()),  # noqa: S303 - the protocol's choice
        algorithm=hashes.SHA1(),  # noqa: S303
        label=None,
    )
    return base64.b64encode(key.encrypt(text.encode(), oaep)).decode()


def _header(headers: Mapping[str, str], name: str) -> str:
    wanted = name.lower()
    found = headers.get(name) or headers.get(wanted)
    if found is None:
        found = next((value for key, value in headers.items() if key.lower() == wanted), "")
    return found


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError:
        raise Misconfigured(N_("The certificate is no PEM file.")) from None


def _rsa(key: Any) -> RSAPublicKey:
    if not isinstance(key, RSAPublicKey):
        raise Misconfigured(N_("The platform's key is no RSA key."))
    return key

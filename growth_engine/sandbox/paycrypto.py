"""The signatures and ciphers of WeChat Pay APIv3, seen from the platform's side (sections 4.1 to 4.3)."""

from __future__ import annotations

import base64
import datetime as dt
from functools import cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

ALGORITHM = "AEAD_AES_256_GCM"
KEY_BYTES = 32
NONCE_CHARACTERS = 12
_CERTIFICATE_LIFE = dt.timedelta(days=5 * 365)


class BadCipher(Exception):
    """A field that claims to be encrypted for us is not."""


def new_key() -> str:
    """A private key of 2048 bits, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


@cache
def private(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@cache
def public(pem: str) -> rsa.RSAPublicKey:
    key = serialization.load_pem_public_key(pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def public_pem(private_pem: str) -> str:
    """The public half of a private key, as PEM."""
    return (
        private(private_pem)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def certificate(private_pem: str, serial: int, name: str, at: dt.datetime) -> str:
    """A certificate of a key, signed by itself, valid for five years, as PEM."""
    key = private(private_pem)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(at)
        .not_valid_after(at + _CERTIFICATE_LIFE)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM).decode()


def lines(*parts: str) -> bytes:
    """What is signed: each part ended by a line feed, the last one too."""
    return "".join(f"{part}\n" for part in parts).encode()


def sign(private_pem: str, message: bytes) -> str:
    made = private(private_pem).sign(message, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(made).decode()


def verify(public_key_pem: str, message: bytes, given: str) -> bool:
    try:
        raw = base64.b64decode(given, validate=True)
        public(public_key_pem).verify(raw, message, padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def seal(api_v3_key: str, plain: bytes, nonce: str, associated_data: str) -> str:
    """The ciphertext of a resource: Base64 of ciphertext and tag."""
    key = api_v3_key.encode()
    assert len(key) == KEY_BYTES
    return base64.b64encode(AESGCM(key).encrypt(nonce.encode(), plain, associated_data.encode())).decode()


def unseal_field(private_pem: str, sealed: str) -> str:
    """A sensitive field sent to us: RSA-OAEP with SHA-1."""
    scheme = padding.OAEP(mgf=padding.MGF1(hashes.SHA1()), algorithm=hashes.SHA1(), label=None)  # noqa: S303
    try:
        return private(private_pem).decrypt(base64.b64decode(sealed, validate=True), scheme).decode()
    except ValueError as error:
        raise BadCipher("the field was not encrypted with our public key") from error

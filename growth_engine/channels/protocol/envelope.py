"""The envelope of an encrypted callback, alike for Official Accounts and WeCom (sheet §2.2, §3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from growth_engine.channels.protocol import documents
from growth_engine.channels.protocol.documents import Form
from growth_engine.channels.protocol.message_crypt import (
    MessageCrypt,
    Undecryptable,
    WrongSignature,
    signature,
    signed,
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What was inside, and which of our keys and tokens it was made with: the answer uses the same."""

    message: bytes
    key: int
    token: int


def is_signed(query: Mapping[str, str], tokens: Sequence[str]) -> bool:
    """Whether ``signature`` covers token, timestamp and nonce: who asks knows the token. Says nothing of
    the body (rule 1)."""
    return _token(tokens, query.get("signature", ""), query) is not None


def open_encrypted(
    query: Mapping[str, str], encrypted: str, *, tokens: Sequence[str], crypt: MessageCrypt
) -> Envelope:
    """Check ``msg_signature`` over the ciphertext, then decrypt; raises a MessageRefused."""
    token = _token(tokens, query.get("msg_signature", ""), query, encrypted)
    if token is None:
        raise WrongSignature
    if not encrypted:
        raise Undecryptable
    opened = crypt.open(encrypted)
    return Envelope(opened.message, opened.key, token)


def seal_reply(
    content: bytes,
    form: Form,
    *,
    token: str,
    crypt: MessageCrypt,
    key: int,
    timestamp: str,
    nonce: str,
    random: bytes,
) -> bytes:
    """An encrypted answer, with the key that opened the question."""
    encrypted = crypt.seal(content, random=random, key=key)
    return documents.write(
        form,
        {
            "Encrypt": encrypted,
            "MsgSignature": signature(token, timestamp, nonce, encrypted),
            "TimeStamp": int(timestamp),
            "Nonce": nonce,
        },
    )


def _token(tokens: Sequence[str], claimed: str, query: Mapping[str, str], *more: str) -> int | None:
    """Which token the signature was made with."""
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    # All are tried, so that the time taken does not tell which one fits.
    found = [signed(claimed, token, timestamp, nonce, *more) for token in tokens]
    return found.index(True) if any(found) else None

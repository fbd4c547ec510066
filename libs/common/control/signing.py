"""What people sign, and when a stored resume or raised limit counts.

One function judges for everybody: the executor before it folds a record in, and the
riskguard before it writes one. It looks at nothing but the record, the time at which
the stream stored it and the configured keys, so a restart years later judges the same.
Rules of the file:

* The signed bytes name every field by hand. A field that a later version adds is not
  among them, so old records stay what they were.
* The expiry is compared with the time of storing, never with the present.
* Each person counts once; a name that is not configured, and a signature that does not
  fit, count nothing.
* With a delay, one person's record counts only so long after it was stored: everybody
  sees it, and any halt in between voids it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from libs.common.messages.control import ResumeV1
from libs.common.messages.risk import LimitV1

LIFE_MS_MAX: Final = 300_000
"""Longest time from an offer to its storing: two people read, agree and sign within five minutes."""
SKEW_MS: Final = 10_000
"""How far the clocks of riskguard and NATS server may differ; it lengthens no offer's life by more."""
_SIGNATURES_MAX: Final = 16
_RESUME_FIELDS: Final = (
    "env",
    "account",
    "halt_sequence",
    "nonce",
    "reason",
    "by",
    "expires_ms",
    "config_hash",
    "limits_hash",
    "overruled",
    "override_until_ms",
)
_LIMIT_FIELDS: Final = (
    "env",
    "scope",
    "name",
    "value",
    "until_ms",
    "after",
    "nonce",
    "reason",
    "by",
    "expires_ms",
    "config_hash",
)

Signed = ResumeV1 | LimitV1


def signed_bytes(message: Signed) -> bytes:
    """Return what people sign: a word for the kind, then each field as ``name=length:value``."""
    kind, fields = ("limit", _LIMIT_FIELDS) if isinstance(message, LimitV1) else ("resume", _RESUME_FIELDS)
    parts = [f"dora {kind} 1\n".encode()]
    parts += [name.encode() + b"=" + _framed(getattr(message, name)) + b"\n" for name in fields]
    return b"".join(parts)


def sign(message: Signed, name: str, key: Ed25519PrivateKey) -> str:
    """Return ``name:base64``, one entry of ``signatures``."""
    return f"{name}:{base64.b64encode(key.sign(signed_bytes(message))).decode()}"


def public_key(text: str) -> Ed25519PublicKey:
    """Return a signer's key from its configured line.

    Raises:
        ValueError: It is not the base64 of 32 bytes.
    """
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError(f"the base64 of an Ed25519 public key, was {text!r}") from None


def stored_ms(stored_at: str) -> int:
    """Return an RFC 3339 time of the server in Unix milliseconds; 0 where there is none."""
    whole, _, part = stored_at.removesuffix("Z").partition(".")
    try:
        seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
        return seconds * 1_000 + int(f"{part:0<3}"[:3])
    except ValueError:
        return 0


@dataclass(frozen=True, slots=True)
class Verifier:
    """Judges resumes and raised limits of one account.

    Attributes:
        env: The only environment whose records count.
        account: The only account.
        keys: Signers by name.
        required: Signatures of different people that a record needs.
        delay_ms: How long after its storing a record begins to count.
    """

    env: str
    account: str
    keys: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)
    required: int = 0
    delay_ms: int = 0

    def refusal(self, message: Signed, stored_ms: int) -> str:
        """Return why the record does not count, or an empty text.

        Args:
            message: The record.
            stored_ms: When the stream stored it, or the present for one that is about to be stored; Unix.
        """
        return self._of_another(message) or _untimely(message, stored_ms) or self._unsigned(message)

    def _of_another(self, message: Signed) -> str:
        account = message.scope if isinstance(message, LimitV1) else message.account
        if message.env != self.env:
            return f"a record of {self.env}, was of {message.env or 'none'}"
        if account != self.account:
            return f"a record of account {self.account}, was of {account or 'none'}"
        if not message.nonce or not message.by.strip() or not message.reason.strip():
            return "a nonce, a name and a reason, one was empty"
        return ""

    def _unsigned(self, message: Signed) -> str:
        signers = self.signers_of(message)
        if len(signers) >= self.required:
            return ""
        who = ", ".join(sorted(signers)) or "none"
        return f"{self.required} signatures of configured people, were {len(signers)} ({who})"

    def signers_of(self, message: Signed) -> frozenset[str]:
        """Return the people whose signatures fit."""
        if not message.signatures:
            return frozenset()
        data = signed_bytes(message)
        found = set()
        for entry in message.signatures[:_SIGNATURES_MAX]:
            name, _, text = entry.partition(":")
            key = self.keys.get(name)
            if key is not None and name not in found and _fits(key, text, data):
                found.add(name)
        return frozenset(found)


def _untimely(message: Signed, stored_ms: int) -> str:
    if stored_ms <= 0:
        return "a time of storing, was none"
    if stored_ms > message.expires_ms:
        return f"stored before it expired, was {stored_ms - message.expires_ms} ms late"
    if message.expires_ms > stored_ms + LIFE_MS_MAX + SKEW_MS:
        return f"an expiry at most {LIFE_MS_MAX} ms ahead, was {message.expires_ms - stored_ms} ms"
    return ""


def _fits(key: Ed25519PublicKey, text: str, data: bytes) -> bool:
    try:
        key.verify(base64.b64decode(text, validate=True), data)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def _framed(value: object) -> bytes:
    if isinstance(value, tuple):
        data = b"".join(_framed(item) for item in value)
    else:
        data = ("" if value is None else str(value)).encode("utf-8", "surrogatepass")
    return b"%d:" % len(data) + data

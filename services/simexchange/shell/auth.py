"""Who is asking: signatures over ``timestamp + METHOD + path`` (kalshi-api section 2).

RSA-PSS (SHA-256, salt as long as the digest) and Ed25519. The 401 bodies are
those recorded on the demo exchange. The window of the timestamp is unpublished
and lies between 5 and 30 seconds there; 10 is used here.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from services.simexchange.core.requests import Rejection

WINDOW_MS = 10_000
NS_PER_MS = 1_000_000

BAD_SIGNATURE = Rejection(401, "authentication_error", "authentication_error", "INCORRECT_API_KEY_SIGNATURE")
UNKNOWN_KEY = Rejection(401, "authentication_error", "authentication_error", "NOT_FOUND")
MISSING = Rejection(401, "signature_is_missing_from_headers")
EXPIRED = Rejection(401, "header_timestamp_expired")
OUT_OF_SCOPE = Rejection(403, "forbidden", "this API key does not have the required scope")
"""The wording at the venue is unrecorded."""

SCOPES_DEFAULT: Final = ("read", "write")
"""What a key may do unless its creator says less (kalshi-api 2.6)."""

_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)

Verify = Callable[[bytes, bytes], None]


@dataclass(frozen=True, slots=True)
class Key:
    """One API key of one account."""

    key_id: str
    account: str
    verify: Verify
    scopes: frozenset[str]
    name: str = ""

    def may(self, method: str, scope: str = "write::trade") -> bool:
        """Return whether the key's scopes cover a request of this HTTP method; ``scope`` is a write's own."""
        if method == "GET":
            return "read" in self.scopes
        return not self.scopes.isdisjoint(("write", scope))


@dataclass(slots=True)
class KeyRing:
    """All API keys."""

    keys: dict[str, Key] = field(default_factory=dict)

    def add(
        self,
        key_id: str,
        account: str,
        public_pem: bytes,
        scopes: Sequence[str] = SCOPES_DEFAULT,
        name: str = "",
    ) -> None:
        """Register a public key (SPKI PEM) with its scopes; ``write::trade`` is enough for orders.

        Raises:
            ValueError: The key is neither RSA nor Ed25519.
        """
        public = serialization.load_pem_public_key(public_pem)
        self.keys[key_id] = Key(key_id, account, _verifier(public), frozenset(scopes), name or account)

    def check(  # noqa: PLR0917 - the facts of one order, trade or request
        self, key_id: str, timestamp: str, signature: str, method: str, path: str, now_ns: int
    ) -> Key | Rejection:
        """Return the key that signed the request, or the refusal."""
        if not (key_id and timestamp and signature):
            return MISSING
        key = self.keys.get(key_id)
        if key is None:
            return UNKNOWN_KEY
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 16):
            return EXPIRED
        if abs(now_ns // NS_PER_MS - int(timestamp)) > WINDOW_MS:
            return EXPIRED
        try:
            raw = base64.b64decode(signature, validate=True)
            key.verify(raw, f"{timestamp}{method}{path}".encode())
        except (binascii.Error, ValueError, InvalidSignature):
            return BAD_SIGNATURE
        return key


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key pair as `/api_keys/generate` hands it out once."""

    key_id: str
    private_pem: bytes
    public_pem: bytes


def generate_key(key_id: str, kind: str = "ed25519") -> NewKey:
    """Return a fresh key pair, ``rsa`` (2048 bit, PKCS#1) or ``ed25519`` (PKCS#8)."""
    private: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    if kind == "rsa":
        private, form = rsa.generate_private_key(65537, 2048), serialization.PrivateFormat.TraditionalOpenSSL
    elif kind == "ed25519":
        private, form = ed25519.Ed25519PrivateKey.generate(), serialization.PrivateFormat.PKCS8
    else:
        raise ValueError(f"key type rsa or ed25519, was {kind!r}")
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    pem = private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return NewKey(key_id, pem, public)


def _verifier(public: object) -> Verify:
    if isinstance(public, ed25519.Ed25519PublicKey):
        return public.verify
    if isinstance(public, rsa.RSAPublicKey):
        key = public
        return lambda signature, message: key.verify(signature, message, _PSS, hashes.SHA256())
    raise ValueError(f"RSA or Ed25519 key, was {type(public).__name__}")

"""Sign requests as the venue demands: timestamp, method and path, never the body.

The algorithm follows from the parsed key, not from the PEM header, because a
PKCS#8 header may hold either kind (kalshi-api 2.1). RSA signs with PSS and a
salt as long as the digest; the libraries' default of the longest possible salt
is refused by the venue. The stamp is the venue's only defence against replay,
so it is taken at send time or at most a few seconds before (`presign.py`).
"""

from __future__ import annotations

import base64
import stat
from pathlib import Path
from typing import Final, Protocol, Self

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

KEY_HEADER: Final = "KALSHI-ACCESS-KEY"
STAMP_HEADER: Final = "KALSHI-ACCESS-TIMESTAMP"
SIGNATURE_HEADER: Final = "KALSHI-ACCESS-SIGNATURE"

_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
_SHA256 = hashes.SHA256()


class KeyUnusable(ValueError):  # noqa: N818 - named for what was found
    """A key cannot be used; the text never holds key material."""


class SignsHeaders(Protocol):
    """Anything that yields the three signed headers for a request."""

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Return the headers for this method and path at this wall-clock time."""
        ...


class Signer:
    """A key and its id; shows neither in its representation."""

    def __init__(self, key_id: str, key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> None:
        self._key_id = key_id
        self._key = key

    def __repr__(self) -> str:
        return f"Signer(key_id=…{self._key_id[-4:]}, key=<redacted {self.algorithm}>)"

    @property
    def key_id(self) -> str:
        """Return the id that the venue knows the key by."""
        return self._key_id

    @property
    def algorithm(self) -> str:
        """Return ``rsa`` or ``ed25519``."""
        return "rsa" if isinstance(self._key, rsa.RSAPrivateKey) else "ed25519"

    @classmethod
    def from_pem(cls, key_id: str, pem: bytes | str) -> Self:
        """Return the signer of an unencrypted private key in PEM, PKCS#1 or PKCS#8.

        Raises:
            KeyUnusable: No key id, not a private key, encrypted, or neither RSA nor Ed25519.
        """
        if not key_id or not key_id.isascii() or not key_id.isprintable():
            raise KeyUnusable("expected the venue's key id, printable ASCII, was empty or something else")
        data = pem.encode() if isinstance(pem, str) else pem
        try:
            key = serialization.load_pem_private_key(data, password=None)
        except (ValueError, TypeError) as e:
            # The library's text may quote parts of its input; only the kind of failure leaves.
            raise KeyUnusable(f"expected an unencrypted PEM private key ({type(e).__name__})") from None
        if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
            raise KeyUnusable(f"expected an RSA or Ed25519 key, was {type(key).__name__}")
        return cls(key_id, key)

    @classmethod
    def from_file(cls, key_id: str, path: Path, *, require_private: bool = False) -> Self:
        """Return the signer of the key in a file.

        Args:
            key_id: The venue's id of the key.
            path: A PEM file.
            require_private: Refuse a file that group or others may read (mode ``live``).

        Raises:
            KeyUnusable: The file cannot be read, is open to others, or holds no usable key.
        """
        try:
            mode = path.stat().st_mode
            data = path.read_bytes()
        except OSError as e:
            raise KeyUnusable(f"expected a readable key file, was {e.strerror}: {path}") from None
        if require_private and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyUnusable(
                f"expected a key file of mode 0600 or less, was {stat.S_IMODE(mode):04o}: {path}"
            )
        return cls.from_pem(key_id, data)

    def sign(self, message: bytes) -> bytes:
        """Return the raw signature of a message."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            return self._key.sign(message, _PSS, _SHA256)
        return self._key.sign(message)

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Return the three headers of a request.

        Args:
            method: Upper case.
            path: From the host's root, with ``/trade-api/v2``, without query.
            now_ms: Unix milliseconds; the same digits are signed and sent.
        """
        assert path.startswith("/"), path
        assert "?" not in path, path
        stamp = str(now_ms)
        signature = self.sign(f"{stamp}{method}{path}".encode())
        return {
            KEY_HEADER: self._key_id,
            STAMP_HEADER: stamp,
            SIGNATURE_HEADER: base64.b64encode(signature).decode("ascii"),
        }

"""People and their keys: make one, and sign what is offered.

A key file is JSON with a name and an Ed25519 private key, readable by its owner only. It
belongs on the person's own machine and in no configuration; what is configured is the
public line. An offer is the record that would be stored, as riskguard answers it.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.control.signing import Signed, sign
from libs.common.messages.control import ResumeV1
from libs.common.messages.risk import LimitV1

_NAME_MAX: Final = 64
_OTHERS: Final = 0o077


class KeyRefused(Exception):  # noqa: N818 - named for what happened
    """A key file cannot be made or used; the text never holds key material."""


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a key file holds."""

    name: str
    private_key: str


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """A file with an offer: one of the two."""

    resume: ResumeV1 | None = None
    limit: LimitV1 | None = None

    @property
    def record(self) -> Signed:
        """Return the record that is offered.

        Raises:
            KeyRefused: It is none.
        """
        record = self.resume or self.limit
        if record is None or (self.resume is not None and self.limit is not None):
            raise KeyRefused("an offer of a resume or of a limit, was neither or both")
        return record


def make(name: str, path: Path) -> str:
    """Make a key, write it for its owner only, and return the line for ``[control.signers]``.

    Raises:
        KeyRefused: The name or the file will not do; an existing file is never touched.
    """
    if not name or len(name) > _NAME_MAX or not all(char.isalnum() or char in "-_" for char in name):
        raise KeyRefused(f"a name of letters, digits, dash and underscore, was {name!r}")
    key = Ed25519PrivateKey.generate()
    kept = KeyFile(name=name, private_key=base64.b64encode(key.private_bytes_raw()).decode())
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as e:
        raise KeyRefused(f"a new file at {path}, was: {e.strerror}") from None
    with os.fdopen(made, "wb") as file:
        file.write(msgspec.json.encode(kept) + b"\n")
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f'{name} = "{base64.b64encode(public).decode()}"'


def sign_with(path: Path, record: Signed) -> str:
    """Return the signature of a key file's person.

    Raises:
        KeyRefused: The file cannot be read, is no key, or others may read it too.
    """
    try:
        if path.stat().st_mode & _OTHERS:
            raise KeyRefused(f"{path} readable by its owner only (chmod 600), was open to others")
        kept = msgspec.json.decode(path.read_bytes(), type=KeyFile)
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(kept.private_key, validate=True))
    except OSError as e:
        raise KeyRefused(f"a readable key file, {path} was: {e.strerror}") from None
    except ValueError:
        # Says nothing of what was in it.
        raise KeyRefused(f"a key file of `dora keys new`, {path} was none") from None
    return sign(record, kept.name, key)


def read_offer(path: Path) -> Offered:
    """Return the offer of a file.

    Raises:
        KeyRefused: It is none.
    """
    try:
        offered = msgspec.json.decode(path.read_bytes(), type=Offered)
    except OSError as e:
        raise KeyRefused(f"a readable offer, {path} was: {e.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as e:
        raise KeyRefused(f"an offer, {path} was none: {e}") from None
    assert offered.record is not None
    return offered

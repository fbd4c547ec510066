"""Evidence that outlives the process that made it: ``var/records/<what>.json``, one fact a file.

A test run, a drill, a delivered alert, an approval. Each says which build it was
made with and when, and a person's own word carries the person's name.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

BY_HAND: Final = ("soak", "webhook", "backup")
"""What a person may put on record, because it happens outside of what Dora sees."""
SOAK_S: Final = 48 * 3_600
"""How long a session has to trade without an error to be the soak of the checklist (D-124)."""
APPROVERS: Final = ("client", "risk_lead")
"""Whose approval a live start needs (D-180)."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One fact.

    Attributes:
        what: Its name, also the file's.
        build: The commit that it was made with.
        at_ms: When, Unix milliseconds.
        is_passed: Whether it went well.
        evidence: What was seen, in one line.
        by: Who says so; empty where a program does.
        config: Hash of the configuration that was approved; only in approvals.
        signature: Base64 of an Ed25519 signature over `signed_bytes`; only in approvals.
    """

    what: str
    build: str
    at_ms: int
    is_passed: bool
    evidence: str
    by: str = ""
    config: str = ""
    signature: str = ""


def path_of(root: Path, what: str) -> Path:
    """Return where a fact is kept under ``var``."""
    return root / "records" / f"{what}.json"


def write(root: Path, record: Record) -> Path:
    """Keep a fact in place of the older one of its name, and return where."""
    path = path_of(root, record.what)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n")
    fresh.replace(path)
    return path


def read(root: Path, what: str) -> Record | str:
    """Return a fact, or why there is none."""
    path = path_of(root, what)
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except FileNotFoundError:
        return "nothing on record"
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as e:
        return f"{path.name} cannot be read: {e}"
    return record if record.what == what else f"{path.name} is a record of {record.what}"


def signed_bytes(record: Record) -> bytes:
    """Return what an approver signs: every field but the signature, each with its length."""
    fields = (record.what, record.build, str(record.at_ms), record.evidence, record.by, record.config)
    framed = b"".join(b"%d:%s\n" % (len(data), data) for data in (field.encode() for field in fields))
    return b"dora approval 1\n" + framed


def approved(record: Record, key: Ed25519PrivateKey) -> Record:
    """Return the record with its signature."""
    return msgspec.structs.replace(
        record, signature=base64.b64encode(key.sign(signed_bytes(record))).decode()
    )


def is_signed(record: Record, key: Ed25519PublicKey) -> bool:
    """Return whether the signature fits the record and this person's key."""
    try:
        key.verify(base64.b64decode(record.signature, validate=True), signed_bytes(record))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True

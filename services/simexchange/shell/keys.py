"""API keys of the simulated venue: made at start, private halves in files only their owner reads.

Each purpose has a key of its own, as a careful operator would have at the real
venue (design section 1): they are keys of one member, so all of them see the
same private data. The outsider is another member, for tests that need one.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from services.simexchange.shell.auth import KeyRing, generate_key

MEMBER: Final = "main"
OUTSIDER: Final = "outsider"


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """One key to make: what for, whose, and what it may do (kalshi-api 2.6)."""

    name: str
    member: str
    scopes: tuple[str, ...]


_READ: Final = ("read",)
_TRADE: Final = ("read", "write::trade")
KEYS: Final = (
    KeyPlan("trade", MEMBER, _TRADE),
    KeyPlan("marketdata", MEMBER, _READ),
    KeyPlan("reconciler", MEMBER, _READ),
    KeyPlan("riskguard", MEMBER, _TRADE),
    KeyPlan("outsider", OUTSIDER, _TRADE),
)


class AccountEntry(msgspec.Struct, frozen=True):
    """One row of ``accounts`` in `venue.json`."""

    name: str
    member: str
    key_id: str
    key_file: str
    tier: str
    scopes: tuple[str, ...]


class VenueFile(msgspec.Struct, frozen=True):
    """`venue.json`: where the venue is and with which keys it can be used."""

    rest_url: str
    ws_url: str
    accounts: tuple[AccountEntry, ...]
    pid: int


def make_keys(ring: KeyRing, folder: Path, kind: str, tiers: Mapping[str, str]) -> tuple[AccountEntry, ...]:
    """Make every key of `KEYS`, register it, write it with mode 0600; return the rows for `venue.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for plan in KEYS:
        key = generate_key(str(uuid.uuid4()), kind)
        ring.add(key.key_id, plan.member, key.public_pem, plan.scopes, plan.name)
        path = (folder / f"{plan.name}.pem").resolve()
        write_private(path, key.private_pem)
        entries.append(
            AccountEntry(plan.name, plan.member, key.key_id, str(path), tiers[plan.member], plan.scopes)
        )
    return tuple(entries)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that was never readable by anybody else, replacing what was there at once."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    draft.replace(path)


def write_venue_file(path: Path, venue: VenueFile) -> None:
    """Write `venue.json` in one step, so that a reader finds the whole of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, msgspec.json.format(msgspec.json.encode(venue), indent=2))


def forget_venue_file(path: Path) -> None:
    """Remove `venue.json`: nothing answers where it points to."""
    path.unlink(missing_ok=True)

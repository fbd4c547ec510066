"""Approval as a thing that cannot be made elsewhere or altered on the way.

`Approved` carries a MAC over the order's bytes, the epoch, an expiry and the limits that
it was judged by, with a key that is random for each process and never leaves it. The sender verifies it
right before the bytes are built; a mutated, stale, replayed or foreign envelope
is refused (frontier 4.31). Python has no private constructors, so the class asks
for a token that this module keeps.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

import msgspec

from services.executor.core.requests import AmendRequest, CreateRequest

_TOKEN: Final = object()
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


@dataclass(frozen=True, slots=True)
class Approved:
    """A request that passed gate and rules; only :class:`Seal` makes one.

    Attributes:
        request: What was approved.
        epoch: Number of the epoch that approved it.
        expires_ns: Monotonic time after which it may not be sent.
        limits: Number of the limits that it was judged by; lowered ones have another.
        mac: Over all of the above.
    """

    request: CreateRequest | AmendRequest
    epoch: int
    expires_ns: int
    limits: int
    mac: bytes
    token: object

    def __post_init__(self) -> None:
        assert self.token is _TOKEN, "an approval comes from the seal, nowhere else"


class Seal:
    """Makes and verifies approvals.

    Args:
        key: Random, at least 16 bytes, one per process.
    """

    def __init__(self, key: bytes) -> None:
        assert len(key) >= 16, f"a key of at least 16 bytes, was {len(key)}"
        self._key = key
        self._spent: dict[bytes, int] = {}

    def approve(
        self, request: CreateRequest | AmendRequest, epoch: int, expires_ns: int, limits: int = 0
    ) -> Approved:
        """Return the request sealed; called by the approver alone, after gate and rules."""
        mac = self._mac(request, epoch, expires_ns, limits)
        return Approved(request, epoch, expires_ns, limits, mac, _TOKEN)

    def spend(self, approved: Approved, epoch: int, now_ns: int) -> str | None:
        """Return why the approval may not be used, or None and remember that it now was."""
        genuine = self._mac(approved.request, approved.epoch, approved.expires_ns, approved.limits)
        if not hmac.compare_digest(genuine, approved.mac):
            return "seal_broken"
        if approved.epoch != epoch:
            return "seal_other_epoch"
        if now_ns > approved.expires_ns:
            return "seal_expired"
        if approved.mac in self._spent:
            return "seal_spent"
        if len(self._spent) > 10_000:
            self._spent = {mac: until for mac, until in self._spent.items() if until >= now_ns}
        self._spent[approved.mac] = approved.expires_ns
        return None

    def _mac(self, request: CreateRequest | AmendRequest, epoch: int, expires_ns: int, limits: int) -> bytes:
        kind = type(request).__name__.encode()
        text = b"%s %d %d %d %s" % (kind, epoch, expires_ns, limits, _ENCODER.encode(request))
        return hmac.digest(self._key, text, hashlib.sha256().name)

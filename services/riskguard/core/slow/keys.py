"""Our own key: what it may do, and when the account's location attestation lapses."""

from __future__ import annotations

from collections.abc import Iterator

from services.riskguard.core.slow.limits import SlowLimits
from services.riskguard.core.slow.readings import KeysRead
from services.riskguard.core.slow.view import DAY_MS, can_move


class KeyWatch:
    """The newest reading of the keys; one that fails leaves it as it is."""

    def __init__(self) -> None:
        self._read: KeysRead | None = None

    def on_keys(self, read: KeysRead) -> None:
        """Take the account's keys."""
        self._read = read

    @property
    def scopes(self) -> frozenset[str] | None:
        """Return what our key may do, None while nobody knows."""
        return None if self._read is None else self._read.scopes

    @property
    def movers(self) -> int:
        """Return how many other keys may move funds."""
        return 0 if self._read is None else self._read.movers

    def region_left_ms(self, now_ms: int) -> int | None:
        """Return how long the attestation lasts, None where nobody knows or there is none."""
        expires_ms = None if self._read is None else self._read.region_expires_ms
        return None if expires_ms is None else expires_ms - now_ms

    def warnings(self, limits: SlowLimits, now_ms: int) -> Iterator[tuple[str, str]]:
        """Return what people should know."""
        if self._read is None:
            return
        left_ms, warn_ms = self.region_left_ms(now_ms), limits.attestation_warn_days * DAY_MS
        if left_ms is None:
            yield "never attested", "the account never attested its location: some categories refuse it"
        elif left_ms <= warn_ms:
            yield "attestation", f"the location attestation lapses in {left_ms / DAY_MS:.1f} days"
        if self.scopes is not None and can_move(self.scopes) and not limits.forbid_transfers:
            yield "key moves funds", "our own key could move funds; it needs read and write::trade only"

"""Who leads: observe, claim, renew, lose. No wall clock, no key that expires.

The newest message on the epoch subject is the leader's; its stream sequence is the
fencing token. A candidate claims only after the old renewals have stood still for
the lease on its own monotonic clock, or the old leader said that it let go. Losing
is final: a leader that met a foreign epoch never leads again in this process.
ADR 0005 tells why each part is needed.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

_S = 1_000_000_000


class EpochPhase(enum.StrEnum):
    """Where this process stands."""

    OBSERVING = "observing"
    LEADING = "leading"
    RELEASED = "released"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class EpochTimes:
    """The protocol's durations, monotonic nanoseconds."""

    lease_ns: int = 15 * _S
    renew_every_ns: int = 1 * _S
    no_risk_ns: int = 3 * _S
    cancel_all_ns: int = 5 * _S


@dataclass(frozen=True, slots=True)
class Seen:
    """What the stream says of the present leader; zeros on a new account."""

    epoch_sequence: int
    number: int
    renew_sequence: int
    is_released: bool


@dataclass(slots=True)
class EpochKeeper:
    """The state machine of one process.

    Attributes:
        phase: Where it stands.
        number: Number of our epoch, 0 without one.
        token: Stream sequence of our epoch: what appends are fenced on.
        renewed_ns: When a renewal (or the claim) was last acknowledged.
        is_moving: True while this process claims its own next epoch: a refusal of the old
            token is then our own doing, not another leader's.
    """

    times: EpochTimes
    phase: EpochPhase = EpochPhase.OBSERVING
    number: int = 0
    token: int = 0
    renewed_ns: int = 0
    counter: int = 0
    is_moving: bool = False
    _seen: Seen | None = None
    _still_since_ns: int = 0

    def observe(self, seen: Seen, now_ns: int) -> bool:
        """Take a reading of the stream; return whether this process may claim now."""
        assert self.phase is EpochPhase.OBSERVING, self.phase
        if self._seen != seen:
            self._seen, self._still_since_ns = seen, now_ns
        if seen.epoch_sequence == 0 or seen.is_released:
            return True
        return now_ns - self._still_since_ns >= self.times.lease_ns

    def wait_left_ns(self, now_ns: int) -> int:
        """Return how long the old leader must still be silent."""
        return max(0, self._still_since_ns + self.times.lease_ns - now_ns)

    def claimed(self, number: int, token: int, now_ns: int) -> None:
        """Our epoch message was stored, and not as a duplicate of somebody's."""
        assert self.phase in (EpochPhase.OBSERVING, EpochPhase.LEADING), self.phase
        assert token > self.token, (token, self.token)
        self.phase, self.number, self.token, self.renewed_ns = EpochPhase.LEADING, number, token, now_ns

    def claim_refused(self, now_ns: int) -> None:
        """Somebody else claimed first: observe anew. A leader that is refused has lost instead."""
        if self.phase is EpochPhase.LEADING:
            self.phase = EpochPhase.LOST
            return
        self._seen, self._still_since_ns = None, now_ns

    def renewed(self, now_ns: int) -> None:
        """A renewal sent at ``now_ns`` or later was acknowledged."""
        self.renewed_ns = max(self.renewed_ns, now_ns)

    def fence_refused(self) -> None:
        """An append met a foreign epoch: never again."""
        self.phase = EpochPhase.LOST

    def release(self) -> None:
        """We let go in order; the next one need not wait."""
        if self.phase is EpochPhase.LEADING:
            self.phase = EpochPhase.RELEASED

    @property
    def is_leading(self) -> bool:
        """Return whether the epoch is ours, however old the last renewal."""
        return self.phase is EpochPhase.LEADING

    def must_cancel_all(self, now_ns: int) -> bool:
        """Return whether renewals have failed for so long that nothing of ours may rest."""
        return self.is_leading and now_ns - self.renewed_ns >= self.times.cancel_all_ns

"""The newest target of each market; silence and age mean that nothing is wanted.

Targets come from any number of strategy replicas over a bus that may deliver old
ones as if fresh (reliability, fact 4). Age is therefore read from the message: by
the start of the marketdata run its book came from, the book's number in that run,
and the position it knew; and a target counts only until its own expiry.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.common.domain.reasons import Reason
from libs.common.messages.target import QuoteV1, TargetV1


@dataclass(slots=True)
class TargetSlot:
    """The newest target of a market.

    Attributes:
        target: The message.
        arrived_ns: Our monotonic clock when it came.
        is_measured: True until its first planning pass is over: what is sent later waited
            for tokens, an answer or a fill, and would measure those instead of the path.
            False from the start where no book change is behind it: a new position on the same book.
    """

    target: TargetV1
    arrived_ns: int = 0
    is_measured: bool = True


@dataclass(slots=True)
class TargetStore:
    """One slot a market."""

    _slots: dict[str, TargetSlot] = field(default_factory=dict)

    def put(self, target: TargetV1, now_ms: int, now_ns: int = 0, *, by_tick: bool = True) -> Reason | None:
        """Take a target; return why it was dropped, or None if it is now the newest."""
        if target.expires_ms <= now_ms:
            return Reason.TARGET_EXPIRED
        held = self._slots.get(target.market)
        if held is not None and age_key(target) <= age_key(held.target):
            return Reason.TARGET_SUPERSEDED
        is_same_book = held is not None and book_of(held.target) == book_of(target)
        self._slots[target.market] = TargetSlot(target, now_ns, is_measured=by_tick and not is_same_book)
        return None

    def get(self, market: str, now_ms: int) -> TargetSlot | None:
        """Return the market's slot if its target still counts."""
        slot = self._slots.get(market)
        if slot is None or slot.target.expires_ms <= now_ms:
            return None
        return slot

    def wanted(self, market: str, now_ms: int) -> tuple[QuoteV1, ...]:
        """Return the quotes wanted now: none without a target that still counts."""
        slot = self.get(market, now_ms)
        return slot.target.quotes if slot is not None else ()

    def strategy(self, market: str) -> str | None:
        """Return whose target the market's newest is, or None without one."""
        slot = self._slots.get(market)
        return slot.target.strategy if slot is not None else None

    def markets(self) -> set[str]:
        """Return every market that ever had a target."""
        return set(self._slots)

    def forget(self, market: str) -> None:
        """Drop the market's slot."""
        self._slots.pop(market, None)

    def strategies(self) -> set[str]:
        """Return whose targets are held, expired ones included."""
        return {slot.target.strategy for slot in self._slots.values()}

    def next_expiry_ms(self) -> int | None:
        """Return when the next target expires, or None without targets."""
        return min((slot.target.expires_ms for slot in self._slots.values()), default=None)


def book_of(target: TargetV1) -> tuple[str, int]:
    """Return which book the target was made from."""
    return target.book_producer, target.book_sequence


def age_key(target: TargetV1) -> tuple[str, int, int, int, int]:
    """Return what orders targets of one market by age.

    A run id begins with its start time, so run ids compare by age (requirement C-025).
    """
    return (
        target.book_producer,
        target.book_sequence,
        target.position_epoch,
        target.position_sequence,
        target.config_revision,
    )

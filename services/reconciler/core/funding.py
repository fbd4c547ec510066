"""Money that moves without a fill: transfers between shards, deposits, withdrawals, corrected payouts.

The venue tells these with holes. A transfer has two legs and no time of
completion; a deposit names no shard, and not whether its fee is inside; a
corrected settlement replaces its record. And all of them are read a moment after
the balance. So an entry is not one amount but the few shifts of cash that fit
what was told of it: all of them while its newest word is young, only the final
ones once every reading must show it. The balance decides among them
(`balance_proof.py`), and what it has decided is booked for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from libs.common.kalshi.model import OUTSIDE_SHARD, VenueFunding, VenueTransfer

Shift = tuple[tuple[int, int], ...]
"""Shards and signed amounts in millionths of a dollar, each shard once, ascending."""

NOTHING: Final[Shift] = ()
_SECOND_MS: Final = 1_000
"""The venue tells these times in whole seconds."""
_PENDING_MS: Final = 600_000
"""A transfer older than that when first seen complete was complete before."""
_FINAL_WORDS: Final = frozenset({"applied", "failed", "returned"})


@dataclass(frozen=True, slots=True)
class Correction:
    """A settlement whose record was replaced by one that pays differently."""

    market: str
    shard: int
    amount_e6: int
    """What the new record pays more than the old one."""


Record = VenueTransfer | VenueFunding | Correction


@dataclass(slots=True)
class Entry:
    """What the venue last said of one move of money.

    Attributes:
        record: Its newest word.
        noticed_ms: Wall time by which that word was there.
        before: What was booked under the word before.
        booked: The shift that the balance has confirmed, None while it is open.
    """

    record: Record
    noticed_ms: int
    before: Shift = NOTHING
    booked: Shift | None = None

    @property
    def is_final(self) -> bool:
        """Return whether nothing more will be said of it, as far as anybody knows."""
        if isinstance(self.record, VenueTransfer):
            return self.record.is_complete
        return isinstance(self.record, Correction) or self.record.status in _FINAL_WORDS


@dataclass(slots=True)
class FundingBook:
    """All entries of an account; what is booked is summed by shard."""

    entries: dict[str, Entry] = field(default_factory=dict)
    booked_e6: Counter[int] = field(default_factory=Counter)
    _has_read: bool = False
    _corrections: int = 0

    def take(
        self, transfers: Iterable[VenueTransfer], fundings: Iterable[VenueFunding], started_ms: int
    ) -> None:
        """Take one reading of the venue's lists, which began at this wall time."""
        for transfer in transfers:
            since_ms = transfer.created_ms + _PENDING_MS
            self._say(f"transfer/{transfer.transfer_id}", transfer, self._noticed_ms(since_ms, started_ms))
        for funding in fundings:
            since_ms = funding.finalized_ms + _SECOND_MS
            self._say(f"funding/{funding.funding_id}", funding, self._noticed_ms(since_ms, started_ms))
        self._has_read = True

    def correct(self, market: str, shard: int, amount_e6: int, started_ms: int) -> None:
        """Take a corrected payout, seen in a reading that began at this wall time."""
        self._corrections += 1
        key = f"settlement/{market}/{self._corrections}"
        self._say(key, Correction(market, shard, amount_e6), started_ms)

    def open(self) -> list[Entry]:
        """Return the entries that the balance has not confirmed yet."""
        return [entry for entry in self.entries.values() if entry.booked is None]

    def book(self, entry: Entry, shift: Shift) -> None:
        """Close an entry: from now on it moved exactly this."""
        entry.booked = shift
        for shard, amount_e6 in shift:
            self.booked_e6[shard] += amount_e6

    def book_all(
        self, entries: Sequence[Entry], likely: Sequence[Shift], together_e6: Mapping[int, int]
    ) -> None:
        """Close entries whose places are known only together; each counts where it likely landed."""
        for entry, shift in zip(entries, likely, strict=True):
            self.book(entry, shift)
            for shard, amount_e6 in shift:
                self.booked_e6[shard] -= amount_e6
        for shard, amount_e6 in together_e6.items():
            self.booked_e6[shard] += amount_e6

    def _noticed_ms(self, since_ms: int, started_ms: int) -> int:
        # At the first reading everything is seen for the first time, however long ago it was.
        return started_ms if self._has_read else min(started_ms, since_ms)

    def _say(self, key: str, record: Record, noticed_ms: int) -> None:
        entry = self.entries.get(key)
        if entry is None:
            self.entries[key] = Entry(record, noticed_ms)
            return
        if entry.record == record:
            return
        if entry.booked is not None:
            entry.before = entry.booked
            for shard, amount_e6 in entry.booked:
                self.booked_e6[shard] -= amount_e6
        entry.record, entry.noticed_ms, entry.booked = record, noticed_ms, None


def possible(entry: Entry, cutoff_ms: int, genesis_ms: int, shards: Sequence[int]) -> tuple[Shift, ...]:
    """Return every shift of cash that fits an entry, the likeliest last.

    Args:
        entry: One that is open.
        cutoff_ms: A word noticed before this wall time is in every reading.
        genesis_ms: When the balance was read that the proof starts from.
        shards: On which a deposit may have landed, the likeliest last.
    """
    record, is_old = entry.record, entry.is_final and entry.noticed_ms < cutoff_ms
    if isinstance(record, Correction):
        return _distinct([*(() if is_old else (entry.before,)), ((record.shard, record.amount_e6),)])
    if isinstance(record, VenueTransfer):
        return _legs(record, genesis_ms, is_old=is_old)
    return _placed(entry, record, genesis_ms, shards, is_old=is_old)


def _legs(transfer: VenueTransfer, genesis_ms: int, *, is_old: bool) -> tuple[Shift, ...]:
    """Return no leg, either, both: as far as the transfer has come and as it lies to genesis."""
    leaves = (transfer.from_shard, -transfer.amount_e6)
    arrives = (transfer.to_shard, transfer.amount_e6)
    out, into, both = shift_of(leaves), shift_of(arrives), shift_of(leaves, arrives)
    if transfer.is_complete and transfer.created_ms + _PENDING_MS < genesis_ms:
        return (NOTHING,)
    if is_old and transfer.created_ms > genesis_ms:
        return (both,)
    if is_old:
        # Asked for before genesis: one leg or both may be in that balance already.
        return _distinct([both, into, NOTHING])
    return _distinct([into, NOTHING, out, both] if transfer.is_complete else [both, into, NOTHING, out])


def _placed(
    entry: Entry, funding: VenueFunding, genesis_ms: int, shards: Sequence[int], *, is_old: bool
) -> tuple[Shift, ...]:
    """Return where a deposit or withdrawal may have landed, and with the fee inside or beside."""
    if funding.finalized_ms and funding.finalized_ms + _SECOND_MS <= genesis_ms and not entry.before:
        return (NOTHING,)
    landed: list[Shift] = []
    if funding.is_applied or not (entry.is_final or funding.status == "pending"):
        amounts = (funding.amount_e6, funding.amount_e6 - funding.fee_e6)
        landed = [shift_of((shard, amount_e6)) for shard in shards for amount_e6 in amounts]
    may_be_none = not is_old or not landed or funding.finalized_ms <= genesis_ms
    none = [entry.before, NOTHING] if not is_old else [NOTHING]
    return _distinct([*(none if may_be_none else ()), *landed])


def shift_of(*amounts_e6: tuple[int, int]) -> Shift:
    """Return amounts by shard as a shift; what is no shard of ours, and nothing, is left out."""
    by_shard: Counter[int] = Counter()
    for shard, amount_e6 in amounts_e6:
        by_shard[shard] += amount_e6
    return tuple(sorted((s, amount) for s, amount in by_shard.items() if amount and s != OUTSIDE_SHARD))


def _distinct(shifts: Iterable[Shift]) -> tuple[Shift, ...]:
    # The last telling of each is kept: it is the likelier one.
    return tuple(reversed(dict.fromkeys(reversed(list(shifts)))))

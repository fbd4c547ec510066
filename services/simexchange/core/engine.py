"""The seam between the venue and a book: who is matched against whom, and what is displayed.

Two books stand behind it. `fifo_book.py` is the real thing in its obvious
form: orders in price and time. `tape_book.py` holds recorded anonymous levels,
with the accounts' orders queued behind what was displayed when they came.

A book never touches money, clocks or events. The venue turns what it answers
into fills, trades and level changes, one engine action at a time. The displayed
size of a level is anonymous quantity plus resting orders, and every answer
below says exactly how it moved, so the venue can announce it:

* every :class:`Match` takes its quantity off the maker's level;
* ``rest`` adds the order's remaining quantity to its level;
* ``remove`` and ``reduce`` take off what they return;
* :class:`External` lists all other changes itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.common.domain.side import Side
from services.simexchange.core.orders import Order


@dataclass(frozen=True, slots=True)
class Match:
    """A taker met one maker; the trade is at the maker's price.

    Attributes:
        maker: The resting order, or None for anonymous recorded depth. The
            book has taken the quantity off it in its own books already (and
            removed it if nothing is left); ``maker.remaining_e2`` itself is
            changed by the venue.
        price_e4: YES price.
        qty_e2: Positive.
    """

    maker: Order | None
    price_e4: int
    qty_e2: int


@dataclass(frozen=True, slots=True)
class Matched:
    """What an incoming order met, in order.

    Attributes:
        matches: Trades, best price first, then oldest first.
        self_cancelled: Own resting orders taken out by STP ``maker``; the book removed them already.
        is_stopped: STP ``taker_at_cross`` met an own order: the rest of the taker must not go on.
    """

    matches: tuple[Match, ...] = ()
    self_cancelled: tuple[Order, ...] = ()
    is_stopped: bool = False


@dataclass(frozen=True, slots=True)
class LevelChange:
    """A signed change of one displayed level; YES price on both sides."""

    side: Side
    price_e4: int
    change_e2: int


@dataclass(frozen=True, slots=True)
class External:
    """What an anonymous event (a recorded delta or trade) did to the book.

    Attributes:
        changes: Level changes other than those the matches imply.
        matches: Resting orders of accounts filled by an anonymous taker; ``maker`` is never None.
        taker_side: Side of the anonymous taker, for matches and public trades.
        public: ``(price_e4, qty_e2)`` traded between anonymous parties, announced as public trades only.
    """

    changes: tuple[LevelChange, ...] = ()
    matches: tuple[Match, ...] = ()
    taker_side: Side = Side.BID
    public: tuple[tuple[int, int], ...] = ()


class BookEngine(Protocol):
    """One market's book on the YES axis, price first, then time."""

    def match(self, order: Order, now_ns: int) -> Matched:
        """Match ``order.remaining_e2`` against the other side and change the book accordingly.

        ``order`` itself is not changed and not added. Its ``stp`` decides what
        an own resting order does: ``taker_at_cross`` stops there and leaves it,
        ``maker`` takes it out and goes on.
        """
        ...

    def fillable_e2(self, order: Order) -> int:
        """Return how much of the order would trade now, up to ``remaining_e2``, changing nothing.

        Own orders are not counted.
        """
        ...

    def would_cross(self, order: Order) -> bool:
        """Return whether anything at all (own orders included) rests at a price the order crosses."""
        ...

    def rest(self, order: Order) -> None:
        """Add the order's ``remaining_e2`` behind everything displayed at its price."""
        ...

    def remove(self, order: Order) -> int:
        """Take the order out; return the quantity that left the level (0 if it did not rest)."""
        ...

    def reduce(self, order: Order, by_e2: int) -> None:
        """Make the resting order smaller by less than all of it; its place in the queue stays."""
        ...

    def displayed(self, side: Side) -> Iterable[tuple[int, int]]:
        """Return ``(price_e4, qty_e2)`` of all levels, best first, every quantity positive."""
        ...

    def best(self, side: Side) -> tuple[int, int] | None:
        """Return the best displayed level, or None."""
        ...

    def ahead_of(self, order: Order) -> int:
        """Return the quantity that trades before this resting order at its price (0 is first)."""
        ...

    def resting(self) -> Iterable[Order]:
        """Return every account order in the book, any order."""
        ...


class ExternalBook(BookEngine, Protocol):
    """A book that also takes anonymous events; `TapeBook` is the one."""

    def reset(self, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]]) -> External:
        """Replace the anonymous levels; account orders stay, behind the new sizes if they can."""
        ...

    def apply_level(self, side: Side, price_e4: int, change_e2: int, now_ns: int) -> External:
        """Apply one recorded level change."""
        ...

    def apply_trade(self, taker_side: Side, price_e4: int, qty_e2: int, now_ns: int) -> External:
        """Apply one recorded public trade (its level change comes as its own delta)."""
        ...

"""What one witness says about the account at one moment, as a frozen value.

Three of them are compared: the executor's events, our own drop copy, the REST
listings. A witness may have no opinion about an order (`unsure`: in flight or too
young), may be sure of the order but not of its terms (`moving`), and may not be
heard at all. No opinion is not the same as "there is none".

Orders are keyed by client order id, which every witness knows before the venue
gave an order id; a foreign order without one is keyed by its order id.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from libs.common.domain.ids import parse_client_order_id
from libs.common.domain.side import Side
from libs.common.env import Env


class Name(enum.StrEnum):
    """The three witnesses; `DriftV1.odd_one_out` uses these words."""

    EXECUTOR = "executor"
    DROP_COPY = "drop_copy"
    LISTING = "listing"


class FillKey(NamedTuple):
    """What names a fill on every path (kalshi-api 16.3)."""

    trade_id: str
    order_id: str


def order_key(client_order_id: str, order_id: str) -> str:
    """Return the key of an order."""
    return client_order_id or f"#{order_id}"


@dataclass(frozen=True, slots=True)
class Resting:
    """One order that rests, as a witness tells it."""

    order_id: str
    client_order_id: str
    market: str
    side: Side
    price_e4: int
    remaining_e2: int

    def text(self) -> str:
        """Return the terms in a form for people."""
        return f"{self.side} {self.remaining_e2}@{self.price_e4}"


def is_ours_in(env: Env) -> Callable[[Resting], bool]:
    """Return whether an order carries our prefix and this environment's name."""

    def is_ours(order: Resting) -> bool:
        identity = parse_client_order_id(order.client_order_id)
        return identity is not None and identity.env == env.value

    return is_ours


@dataclass(frozen=True, slots=True)
class FillTerms:
    """One fill, as a witness tells it."""

    market: str
    side: Side
    price_e4: int
    qty_e2: int
    fee_e6: int

    def text(self) -> str:
        """Return the terms in a form for people."""
        return f"{self.side} {self.qty_e2}@{self.price_e4} fee {self.fee_e6}"


@dataclass(frozen=True, slots=True)
class Witness:
    """One witness's word.

    Attributes:
        orders: Resting orders by key; None when this witness is not heard.
        unsure: Keys about which it says nothing: in flight, ended or begun too recently.
        moving: Keys that rest for sure while price and quantity are changing.
        fills: Fills by key; None when not heard.
        fills_from_ms: It says nothing about fills before this venue time.
        fills_until_ms: It says nothing about fills from this venue time on.
        positions: Signed quantities of markets; None when not heard. A market that is absent is flat,
            unless ``is_whole`` is false.
        is_whole: Whether an absent market is flat (true) or not spoken of (false).
        silent_markets: Markets about whose position it says nothing.
    """

    orders: Mapping[str, Resting] | None = None
    unsure: frozenset[str] = frozenset()
    moving: frozenset[str] = frozenset()
    fills: Mapping[FillKey, FillTerms] | None = None
    fills_from_ms: int = 0
    fills_until_ms: int = 2**62
    positions: Mapping[str, int] | None = None
    is_whole: bool = True
    silent_markets: frozenset[str] = field(default_factory=frozenset)

    def order(self, key: str) -> Resting | str | None:
        """Return the order, ``"absent"``, or None for no opinion."""
        if self.orders is None or key in self.unsure:
            return None
        return self.orders.get(key, ABSENT)

    def position(self, market: str) -> int | None:
        """Return the signed quantity, or None for no opinion."""
        if self.positions is None or market in self.silent_markets:
            return None
        return self.positions.get(market, 0 if self.is_whole else None)

    def fill(self, key: FillKey, venue_ms: int) -> FillTerms | str | None:
        """Return the fill, ``"absent"``, or None for no opinion."""
        if self.fills is None:
            return None
        found = self.fills.get(key)
        if found is not None:
            return found
        return ABSENT if self.fills_from_ms <= venue_ms < self.fills_until_ms else None


ABSENT = "absent"
SILENT = Witness()

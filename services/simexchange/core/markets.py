"""Series, events and markets: what is listed, and the state each market is in.

Specs are frozen and come from a liquidity source; a :class:`Market` is the
venue's own record and changes through the venue only. Texts that Kalshi sends
and nothing here depends on (rules, strikes) travel in ``extra`` as they are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.common.domain.fees import FeeTerms
from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.messages.market import MarketState
from services.simexchange.core.engine import BookEngine
from services.simexchange.core.events import Traded

TRADES_KEPT = 10_000
"""Public trades of a market that the listing still shows."""


@dataclass(frozen=True, slots=True)
class SeriesSpec:
    """One series; its fee terms hold where an event has no override."""

    series: str
    title: str
    category: str = "Economics"
    frequency: str = "custom"
    tags: tuple[str, ...] = ()
    fee_type: str = "quadratic"
    fee_multiplier_e4: int = 10_000
    shard: int = 0
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventSpec:
    """One event; all its markets live on its shard."""

    event: str
    series: str
    title: str
    subtitle: str = ""
    shard: int = 0
    is_mutually_exclusive: bool = False
    fee_type_override: str | None = None
    fee_multiplier_override_e4: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MarketSpec:
    """One market as listed.

    Attributes:
        structure: ``price_level_structure``, a name only; ``grid`` is the truth.
        result: Determined when ``determine_ns`` has come and the market is
            closed; None if only :meth:`Venue.determine` decides.
        settlement_value_e4: What YES pays; None means one dollar or nothing by ``result``.
        extra: Wire fields of the market object that mean nothing to the venue, as they are.
    """

    market: str
    event: str
    title: str
    grid: PriceGrid
    open_ns: int
    close_ns: int
    structure: str = "linear_cent"
    yes_subtitle: str = ""
    no_subtitle: str = ""
    settlement_timer_s: float = 60
    can_close_early: bool = True
    result: str | None = None
    determine_ns: int | None = None
    settlement_value_e4: int | None = None
    created_ns: int | None = None
    fee_waiver_until_ns: int | None = None
    extra: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Market:
    """One market's present state; times are Unix nanoseconds."""

    spec: MarketSpec
    event: EventSpec
    series: SeriesSpec
    book: BookEngine
    market_id: str
    grid: PriceGrid
    structure: str
    state: MarketState
    open_ns: int
    close_ns: int
    created_ns: int
    updated_ns: int
    clock: int = 0
    is_deactivated: bool = False
    last_price_e4: int = 0
    previous_price_e4: int = 0
    last_trade_e2: int = 0
    volume_e2: int = 0
    volume_e6: int = 0
    """Traded notional, for ``dollar_volume``."""
    open_interest_e2: int = 0
    determined_ns: int | None = None
    settled_ns: int | None = None
    result: str = ""
    value_e4: int | None = None
    is_close_swept: bool = False
    """Resting orders were cancelled after the close."""
    terms: FeeTerms = field(default_factory=lambda: FeeTerms("quadratic", 10_000))
    trades: deque[Traded] = field(default_factory=lambda: deque(maxlen=TRADES_KEPT))
    """Newest last."""

    @property
    def ticker(self) -> str:
        """Return the market's name."""
        return self.spec.market

    @property
    def shard(self) -> int:
        """Return the exchange index of its event."""
        return self.event.shard

    def top(self, side: Side) -> tuple[int, int] | None:
        """Return the best displayed level of a side, or None."""
        return self.book.best(side)

"""The venue: one synchronous, deterministic object that everything goes through.

Time is an argument (Unix nanoseconds). Calls change state at once and append
:class:`~services.simexchange.core.events.Event` values that ``drain`` hands
out; the shells send those on. SEAM COMMIT: signatures are final, bodies follow.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.domain.side import Side
from services.simexchange.core.accounts import Account
from services.simexchange.core.engine import BookEngine
from services.simexchange.core.events import Event
from services.simexchange.core.faults import FaultBoard
from services.simexchange.core.markets import EventSpec, Market, MarketSpec, SeriesSpec
from services.simexchange.core.requests import CreateRequest, OrderRef, Placed, Reduced, Rejection


class Venue:
    """See the module. ``faults`` is the switchboard shared with the shells."""

    faults: FaultBoard
    markets: dict[str, Market]
    events: dict[str, EventSpec]
    series: dict[str, SeriesSpec]
    accounts: dict[str, Account]

    def __init__(self, *, seed: int = 1, read_lag_ns: int = 0) -> None: ...

    # listing -------------------------------------------------------------------------------------
    def add_account(self, name: str, *, tier: str = "basic", cash_by_shard: dict[int, int], now_ns: int,
                    is_internal: bool = False) -> Account:
        """Internal accounts (synthetic traders) have endless credit, no buckets and pay no fees; cash is E6."""
        raise NotImplementedError

    def add_series(self, spec: SeriesSpec) -> None: raise NotImplementedError
    def add_event(self, spec: EventSpec, now_ns: int) -> None: raise NotImplementedError
    def add_market(self, spec: MarketSpec, book: BookEngine, now_ns: int) -> Market: raise NotImplementedError

    # trading (account is the account's name; also what synthetic traders call) ---------------------
    def create(self, account: str, request: CreateRequest, now_ns: int) -> Placed | Rejection: raise NotImplementedError
    def cancel(self, account: str, ref: OrderRef, now_ns: int) -> Reduced | Rejection: raise NotImplementedError

    # anonymous events for ExternalBook markets ------------------------------------------------------
    def reset_book(self, market: str, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], now_ns: int) -> None:
        """Emits BookReset (one engine action)."""
    def apply_levels(self, market: str, changes: Sequence[tuple[Side, int, int]], now_ns: int) -> None:
        """(side, YES price E4, signed E2), one engine action, in order."""
    def apply_trade(self, market: str, taker_side: Side, price_e4: int, qty_e2: int, now_ns: int) -> None:
        """A recorded public trade."""

    # life -----------------------------------------------------------------------------------------
    def advance(self, now_ns: int) -> None:
        """Do everything that is due: expiries, opens, closes, sweeps, determinations, settlements, group windows."""
    def next_due_ns(self) -> int | None:
        """When `advance` next has something to do, or None."""
    def set_close(self, market: str, close_ns: int, now_ns: int) -> None: ...
    def set_result(self, market: str, result: str, now_ns: int, *, value_e4: int | None = None) -> None:
        """Determine a closed market now (timer runs, then it settles in `advance`)."""
    def set_grid(self, market: str, structure: str, bands: tuple[tuple[int, int, int], ...], now_ns: int) -> None: ...
    def deactivate(self, market: str, now_ns: int) -> None: ...
    def activate(self, market: str, now_ns: int) -> None: ...
    def set_pause(self, *, trading: bool, exchange: bool, now_ns: int) -> None: ...

    # out -------------------------------------------------------------------------------------------
    def drain(self) -> list[Event]:
        """Everything since the last drain, in order."""
        raise NotImplementedError
    def residual_e6(self) -> int:
        """Money out of nowhere; 0 always."""
        raise NotImplementedError

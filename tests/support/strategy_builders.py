"""Plans and sheets of the strategy with defaults."""

from __future__ import annotations

from typing import Any

from libs.common.domain.grid import PriceGrid
from libs.common.messages.execution import PositionV1
from libs.common.messages.market import BookV1
from services.strategy.core.maker_settings import MakerSettings
from services.strategy.core.pipeline import Plan
from services.strategy.core.plans import Plans
from services.strategy.core.work import Work
from tests.support.market_builders import MARKET, book, position


def maker_settings(**changes: Any) -> MakerSettings:
    values: dict[str, Any] = {"enabled": True, "size_e2": 1_000, "inventory_e2_max": 5_000}
    return MakerSettings(**{**values, **changes})


def plan(strategy: str = "dora-maker", *, trading_enabled: bool = True, **changes: Any) -> Plan[Any]:
    values: dict[str, Any] = {"enabled": True, "size_e2": 1_000, "inventory_e2_max": 5_000}
    plans = Plans(
        strategy, {"default": {**values, **changes}}, trading_enabled=trading_enabled, reduce_only=False
    )
    return plans.of(MARKET)


def sheet(
    seen: BookV1 | None = None,
    held: PositionV1 | None = None,
    *,
    fair_e4: float | None = None,
    **changes: Any,
) -> Work[MakerSettings]:
    """Return a sheet as it stands after the gate, with both prices on the mid or on ``fair_e4``."""
    seen = seen or book()
    held = held or position()
    work = Work(seen, held, maker_settings(**changes), {}, trading_enabled=True)
    work.grid = PriceGrid.of(seen.grid)
    work.position_e2 = held.qty_e2
    work.net_bid, work.net_ask = seen.bids[0], seen.asks[0]
    work.best_bid_e4, work.best_ask_e4 = seen.bids[0][0], seen.asks[0][0]
    centre = (work.best_bid_e4 + work.best_ask_e4) / 2 if fair_e4 is None else fair_e4
    work.tick_e4 = work.grid.tick_at(centre)
    work.set_centre_e4(centre)
    work.fair_e4 = work.reservation_e4 = centre
    return work

"""The markets that synthetic flow trades: every grid and fee kind that a client must handle.

Four series on two shards: a plain cent grid, a tenth-cent grid on shard 2, a
tapered grid with maker fees, and an event of four outcomes of which exactly one
happens, in tenth-cents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from libs.common.domain.grid import PriceGrid, grid_of_steps
from services.simexchange.core.markets import EventSpec, MarketSpec, SeriesSpec
from services.simexchange.core.synthetic import Latent

LINEAR: Final = grid_of_steps((0, 10_000, 100))
DECI: Final = grid_of_steps((0, 10_000, 10))
TAPERED: Final = grid_of_steps((0, 1_000, 10), (1_000, 9_000, 100), (9_000, 10_000, 10))


@dataclass(frozen=True, slots=True)
class Listing:
    """One event with its markets and how its latent state starts and moves."""

    series: SeriesSpec
    event: EventSpec
    markets: tuple[MarketSpec, ...]
    latent: Latent


def listings(now_ns: int, close_ns: int, settlement_timer_s: float) -> tuple[Listing, ...]:
    """Return fresh listings that are open now and close together."""

    def market(event: str, suffix: str, title: str, grid: PriceGrid, structure: str) -> MarketSpec:
        return MarketSpec(
            market=f"{event}-{suffix}",
            event=event,
            title=title,
            grid=grid,
            open_ns=now_ns,
            close_ns=close_ns,
            structure=structure,
            yes_subtitle=title,
            no_subtitle=title,
            settlement_timer_s=settlement_timer_s,
            extra={"rules_primary": f"Synthetic: {title}", "rules_secondary": ""},
        )

    def single(
        series: SeriesSpec, event: str, title: str, kind: tuple[PriceGrid, str], logit: float
    ) -> Listing:
        spec = EventSpec(event, series.series, title, shard=series.shard)
        return Listing(
            series,
            spec,
            (market(event, "T1", title, *kind),),
            Latent([logit], volatility=0.02, jump_chance=0.004, jump_size=0.25),
        )

    cent = SeriesSpec("SIMRAIN", "Synthetic rain", category="Climate and Weather")
    deci = SeriesSpec("SIMBTC", "Synthetic bitcoin", category="Crypto", shard=2)
    taper = SeriesSpec("SIMGAME", "Synthetic game", category="Sports", fee_type="quadratic_with_maker_fees")
    vote = SeriesSpec("SIMVOTE", "Synthetic vote", category="Politics")
    outcomes = (("ANNA", 0.6), ("BRUNO", 0.2), ("CARLA", -0.3), ("DORA", -1.2))
    vote_event = "SIMVOTE-26"
    return (
        single(cent, "SIMRAIN-26A", "Rain in the first town?", (LINEAR, "linear_cent"), 0.4),
        single(cent, "SIMRAIN-26B", "Rain in the second town?", (LINEAR, "linear_cent"), -0.9),
        single(deci, "SIMBTC-26A", "Coin above the line?", (DECI, "deci_cent"), 0.1),
        single(deci, "SIMBTC-26B", "Coin far above the line?", (DECI, "deci_cent"), -2.2),
        single(taper, "SIMGAME-26", "Will the home team win?", (TAPERED, "tapered_deci_cent"), -1.8),
        Listing(
            vote,
            EventSpec(vote_event, vote.series, "Who wins the synthetic vote?", is_mutually_exclusive=True),
            tuple(market(vote_event, name, f"Will {name} win?", DECI, "deci_cent") for name, _ in outcomes),
            Latent([x for _, x in outcomes], volatility=0.015, jump_chance=0.003, jump_size=0.3),
        ),
    )

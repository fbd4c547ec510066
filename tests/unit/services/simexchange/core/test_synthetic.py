from __future__ import annotations

import hashlib
import random

import pytest

from libs.common.domain.side import Side
from libs.common.messages.market import MarketState
from services.simexchange.core.events import Traded
from services.simexchange.core.synthetic import TRADERS, Latent
from services.simexchange.core.synthetic_source import SyntheticSource
from services.simexchange.core.venue import Venue

START_NS = 1_700_000_000 * 1_000_000_000
MINUTE_NS = 60_000_000_000


def a_source(seed: int = 7, life_s: float = 86_400) -> tuple[Venue, SyntheticSource]:
    venue = Venue(chance=random.Random(1))
    source = SyntheticSource(
        venue, random.Random(seed), start_ns=START_NS, events_per_s=100, market_life_s=life_s
    )
    return venue, source


def digest(seed: int, steps: int, stretch: int = 1) -> str:
    """Return a hash of everything told in so many steps, times aside."""
    venue, source = a_source(seed)
    for step in range(steps):
        source.flow.step(START_NS + step * stretch)
    told = [(type(e).__name__, getattr(e, "price_e4", 0), getattr(e, "change_e2", 0)) for e in venue.drain()]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def test_flow_follows_from_seed_and_steps_alone() -> None:
    assert digest(7, 1_500) == digest(7, 1_500, stretch=977)
    assert digest(7, 1_500) != digest(8, 1_500)


def test_a_minute_of_flow_conserves_cash_after_every_act() -> None:
    venue, source = a_source()
    until_ns = START_NS + MINUTE_NS
    trades = 0
    while (due_ns := source.next_ns()) is not None and due_ns <= until_ns:
        source.play_next(due_ns)
        assert venue.residual_e6() == 0
        trades += sum(isinstance(e, Traded) for e in venue.drain())
    assert trades > 100


def test_books_are_two_sided_from_the_start_and_stay_so() -> None:
    venue, source = a_source()
    for step in range(3_000):
        source.flow.step(START_NS + step)
        if step % 500 == 0:
            for market in venue.markets.values():
                bid, ask = market.top(Side.BID), market.top(Side.ASK)
                assert bid is not None, market.ticker
                assert ask is not None, market.ticker
                assert bid[0] < ask[0]


def test_listings_cover_grids_shards_maker_fees_and_an_exclusive_event() -> None:
    venue, _ = a_source()
    markets = venue.markets.values()
    assert {m.structure for m in markets} == {"linear_cent", "deci_cent", "tapered_deci_cent"}
    assert {m.shard for m in markets} == {0, 2}
    assert any(m.terms.fee_type == "quadratic_with_maker_fees" for m in markets)
    exclusive = [m for m in markets if m.event.is_mutually_exclusive]
    assert len(exclusive) >= 3


def test_a_short_life_ends_in_settlement_with_one_winner_per_exclusive_event() -> None:
    venue, source = a_source(life_s=5)
    while (due_ns := source.next_ns()) is not None:
        source.play_next(due_ns)
    venue.advance(START_NS + MINUTE_NS)
    assert all(m.state is MarketState.FINALIZED for m in venue.markets.values())
    assert sum(m.result == "yes" for m in venue.markets.values() if m.event.is_mutually_exclusive) == 1
    assert venue.residual_e6() == 0


def test_traders_orders_that_ended_are_not_kept() -> None:
    venue, source = a_source()
    for step in range(3_000):
        source.flow.step(START_NS + step)
    resting = sum(len(list(m.book.resting())) for m in venue.markets.values())
    kept = sum(len(venue.accounts[name].orders) for name in TRADERS)
    assert kept < 2 * resting + 50


@pytest.mark.parametrize("outcomes", [1, 4])
def test_the_latent_probability_is_a_martingale(outcomes: int) -> None:
    """A drift would hand every trader an edge that no quote could see."""
    rng = random.Random(3)
    total, runs = 0.0, 400
    for _ in range(runs):
        latent = Latent([0.3] * outcomes, volatility=0.03, jump_chance=0.0, jump_size=0.0)
        start = latent.probabilities()[0]
        for _ in range(100):
            latent.move(rng)
        total += latent.probabilities()[0] - start
    assert abs(total / runs) < 0.012

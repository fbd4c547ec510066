"""A market's life and the pauses around it (kalshi-api section 22)."""

from __future__ import annotations

import pytest

from libs.common.domain.grid import grid_of_steps
from libs.common.domain.side import Side
from libs.common.messages.market import MarketState
from services.simexchange.core.events import LifecycleChanged
from services.simexchange.core.orders import Reason
from services.simexchange.core.requests import Placed, Reduced
from tests.support.venue_core import MARKET, NS_PER_S, SHARD_MARKET, Pit, code


@pytest.fixture
def pit() -> Pit:
    return Pit()


def words(pit: Pit) -> list[str]:
    return [event.event_type for event in pit.events() if isinstance(event, LifecycleChanged)]


def test_a_market_opens_by_itself_in_silence_and_refuses_orders_before(pit: Pit) -> None:
    later = pit.list_market("S-E-L", open_ns=pit.now_ns + 5 * NS_PER_S)
    assert later.state is MarketState.INITIALIZED
    assert code(pit.send("alice", Side.BID, 4700, market="S-E-L")) == "MARKET_NOT_ACTIVE"
    pit.events()

    pit.wait(5)

    assert isinstance(pit.send("alice", Side.BID, 4700, market="S-E-L"), Placed)
    assert words(pit) == []


def test_at_its_close_a_market_sweeps_its_orders_and_refuses_every_operation(pit: Pit) -> None:
    order = pit.bid("alice", 4700)
    pit.events()

    pit.wait(pit.seconds)

    assert (pit.market.state, order.reason) == (MarketState.CLOSED, Reason.CLOSE_CANCEL)
    assert words(pit) == []
    assert code(pit.send("alice", Side.BID, 4700)) == "MARKET_NOT_ACTIVE"
    assert code(pit.cancel("alice", order)) == "not_found"


def test_between_close_and_sweep_even_a_cancel_is_refused(pit: Pit) -> None:
    pit.venue.life.sweep_delay_ns = 2 * NS_PER_S
    order = pit.bid("alice", 4700)

    pit.wait(pit.seconds)

    assert code(pit.cancel("alice", order)) == "MARKET_INACTIVE"
    pit.wait(2)
    assert order.reason is Reason.CLOSE_CANCEL


def test_a_close_that_moves_later_leaves_the_market_open(pit: Pit) -> None:
    pit.venue.set_close(MARKET, pit.now_ns + 2 * pit.seconds * NS_PER_S, pit.now_ns)

    pit.wait(pit.seconds + 1)

    assert pit.market.state is MarketState.ACTIVE
    assert "close_date_updated" in words(pit)


def test_an_early_close_is_at_once(pit: Pit) -> None:
    pit.venue.set_close(MARKET, pit.now_ns, pit.now_ns)

    assert pit.market.state is MarketState.CLOSED


def test_a_closed_market_opens_again_when_its_close_moves_into_the_future(pit: Pit) -> None:
    pit.venue.set_close(MARKET, pit.now_ns, pit.now_ns)
    pit.events()

    pit.venue.set_close(MARKET, pit.now_ns + 100 * NS_PER_S, pit.now_ns)

    assert pit.market.state is MarketState.ACTIVE
    assert words(pit) == ["close_date_updated", "activated"]
    pit.bid("alice", 4700)
    pit.wait(100)
    assert pit.market.book.best(Side.BID) is None


def test_a_deactivated_market_takes_no_orders_but_cancels_and_reactivation_cancels_what_rests(
    pit: Pit,
) -> None:
    first, second = pit.bid("alice", 4700), pit.bid("alice", 4600)

    pit.venue.set_active(MARKET, pit.now_ns, is_active=False)
    assert code(pit.send("alice", Side.BID, 4500)) == "MARKET_NOT_ACTIVE"
    assert isinstance(pit.cancel("alice", first), Reduced)
    pit.venue.set_active(MARKET, pit.now_ns, is_active=True)

    assert (second.is_resting, second.reason) == (False, Reason.HALT_CANCEL)
    assert words(pit)[-2:] == ["deactivated", "activated"]
    assert isinstance(pit.send("alice", Side.BID, 4500), Placed)


def test_a_trading_pause_refuses_orders_keeps_what_rests_and_lets_cancels_through(pit: Pit) -> None:
    staying, leaving = pit.bid("alice", 4700), pit.bid("alice", 4600, cancel_on_pause=True)

    pit.venue.set_trading_pause([0], pit.now_ns, is_paused=True)

    assert code(pit.send("alice", Side.BID, 4500)) == "trading_is_paused"
    assert (staying.is_resting, leaving.reason) == (True, Reason.HALT_CANCEL)
    assert isinstance(pit.cancel("alice", staying), Reduced)


def test_a_pause_is_per_shard(pit: Pit) -> None:
    pit.venue.deposit("alice", 2, 10_000_000, pit.now_ns)

    pit.venue.set_trading_pause([0], pit.now_ns, is_paused=True)

    assert isinstance(pit.send("alice", Side.BID, 4700, market=SHARD_MARKET), Placed)


def test_in_an_exchange_pause_nothing_works_and_afterwards_everything_does(pit: Pit) -> None:
    order = pit.bid("alice", 4700)

    pit.venue.set_exchange_pause([0], pit.now_ns, is_paused=True)
    assert code(pit.send("alice", Side.BID, 4500)) == "exchange_is_paused"
    assert code(pit.cancel("alice", order)) == "exchange_is_paused"
    pit.venue.set_exchange_pause([0], pit.now_ns, is_paused=False)

    assert isinstance(pit.cancel("alice", order), Reduced)


def test_a_finer_grid_keeps_resting_orders_and_takes_finer_prices(pit: Pit) -> None:
    order = pit.bid("alice", 4700)
    assert code(pit.send("alice", Side.BID, 4710)) == "invalid_price"

    pit.venue.set_grid(MARKET, "deci_cent", [(0, 10_000, 10)], pit.now_ns)

    assert order.is_resting
    assert isinstance(pit.send("alice", Side.BID, 4710), Placed)
    assert words(pit)[-1] == "price_level_structure_updated"


def test_a_scheduled_result_determines_after_the_close_and_settles_after_the_timer(pit: Pit) -> None:
    market = pit.list_market("S-E-R", result="no", close_ns=pit.now_ns + 10 * NS_PER_S)
    pit.events()

    pit.wait(10)
    assert (market.state, market.result) == (MarketState.DETERMINED, "no")
    pit.wait(10)

    assert market.state is MarketState.FINALIZED
    assert words(pit) == ["determined", "settled"]


def test_a_second_determination_starts_the_timer_anew(pit: Pit) -> None:
    pit.ask("bob", 5000)
    pit.bid("alice", 5000)
    pit.wait(pit.seconds)
    pit.venue.set_result(MARKET, "yes", pit.now_ns)
    pit.wait(9)

    pit.venue.set_result(MARKET, "no", pit.now_ns)
    pit.wait(9)
    states = [pit.market.state]
    pit.wait(1)
    states.append(pit.market.state)

    assert states == [MarketState.AMENDED, MarketState.FINALIZED]
    assert pit.venue.accounts["bob"].settlements[MARKET].revenue_e6 == 1_000_000


def test_a_market_that_was_never_open_still_closes(pit: Pit) -> None:
    market = pit.list_market(
        "S-E-X", open_ns=pit.now_ns - 20, close_ns=pit.now_ns - 10, grid=grid_of_steps((0, 10_000, 100))
    )

    pit.wait(0.001)

    assert market.state is MarketState.CLOSED


def held_market(pit: Pit, qty_e2: int = 100) -> None:
    """Let alice hold YES and bob NO of the market, and close it."""
    pit.ask("bob", 5000, qty_e2)
    pit.bid("alice", 5000, qty_e2)
    pit.wait(pit.seconds)


def test_a_disputed_result_is_held_until_it_is_determined_again(pit: Pit) -> None:
    held_market(pit)
    pit.venue.set_result(MARKET, "yes", pit.now_ns)
    pit.wait(5)

    pit.venue.dispute(MARKET, pit.now_ns)
    pit.wait(1_000)

    assert (pit.market.state, pit.position("alice")) == (MarketState.DISPUTED, 100)
    assert pit.venue.accounts["alice"].settlements == {}
    pit.venue.set_result(MARKET, "no", pit.now_ns)
    assert pit.market.state is MarketState.AMENDED
    pit.wait(10)
    assert (pit.market.state, pit.position("alice")) == (MarketState.FINALIZED, 0)
    assert pit.venue.accounts["bob"].settlements[MARKET].revenue_e6 == 1_000_000
    assert pit.venue.accounts["alice"].settlements[MARKET].revenue_e6 == 0


def test_what_is_paid_out_cannot_be_disputed(pit: Pit) -> None:
    held_market(pit)
    pit.venue.set_result(MARKET, "yes", pit.now_ns)
    pit.wait(10)

    with pytest.raises(AssertionError, match="determined market that is not paid out"):
        pit.venue.dispute(MARKET, pit.now_ns)


def test_a_correction_after_the_payout_replaces_the_record_and_pays_the_difference(pit: Pit) -> None:
    held_market(pit, 101)
    before = pit.cash("alice"), pit.cash("bob")
    pit.venue.set_result(MARKET, "yes", pit.now_ns)
    pit.wait(10)
    first = pit.venue.accounts["alice"].settlements[MARKET]

    pit.venue.set_result(MARKET, "scalar", pit.now_ns, value_e4=3_333)
    assert pit.cash("alice") == before[0] + 1_010_000
    pit.wait(10)

    settled = pit.venue.accounts["alice"].settlements[MARKET]
    assert (settled.yes_e2, settled.yes_cost_e6) == (first.yes_e2, first.yes_cost_e6) == (101, 505_000)
    assert (settled.revenue_e6, settled.fee_e6, settled.venue_ns) == (330_000, 6_633, pit.now_ns)
    assert pit.cash("alice") == before[0] + 330_000
    assert pit.cash("bob") == before[1] + 670_000
    assert (pit.position("alice"), pit.position("bob"), pit.venue.residual_e6()) == (0, 0, 0)
    position = pit.venue.accounts["alice"].positions[MARKET]
    assert position.cash_e6 == position.realised_e6 - position.fees_e6

"""Every structure of kalshi-api 3.3, rounded outward."""

import pytest

from libs.common.domain.grid import MalformedGrid, PriceGrid, grid_of_steps
from libs.common.messages.market import BandV1

CENT = grid_of_steps((0, 10_000, 100))
TAPERED = grid_of_steps((0, 1000, 10), (1000, 9000, 100), (9000, 10_000, 10))
COMBO = grid_of_steps((0, 100, 1), (100, 9900, 10), (9900, 10_000, 1))


def test_a_bid_goes_down_and_an_ask_goes_up() -> None:
    assert CENT.floor_to_tick(5650.0) == 5600
    assert CENT.ceil_to_tick(5650.0) == 5700


def test_a_price_on_the_grid_stays() -> None:
    assert TAPERED.floor_to_tick(9010) == 9010
    assert TAPERED.ceil_to_tick(9010) == 9010


def test_the_step_is_that_of_the_band() -> None:
    assert TAPERED.floor_to_tick(995.0) == 990
    assert TAPERED.floor_to_tick(1099.0) == 1000
    assert TAPERED.ceil_to_tick(8901.0) == 9000
    assert TAPERED.ceil_to_tick(9001.0) == 9010
    assert COMBO.floor_to_tick(99.5) == 99


def test_an_edge_belongs_to_both_bands_and_takes_the_finer_tick() -> None:
    assert TAPERED.tick_at(1000) == 10
    assert TAPERED.tick_at(5000) == 100
    assert COMBO.next_down(100) == 99
    assert COMBO.next_up(100) == 110


def test_zero_and_one_dollar_are_no_prices() -> None:
    assert not CENT.is_on_grid(0)
    assert not CENT.is_on_grid(10_000)
    assert CENT.floor_to_tick(99.0) is None
    assert CENT.ceil_to_tick(9_901.0) is None
    assert CENT.floor_to_tick(20_000.0) == 9900
    assert CENT.ceil_to_tick(-3.0) == 100
    assert CENT.next_up(9900) is None
    assert CENT.next_down(100) is None


@pytest.mark.parametrize(
    "bands",
    [
        (),
        ((0, 5000, 100), (6000, 10_000, 100)),
        ((0, 5000, 300),),
        ((5000, 5000, 100),),
        ((0, 10_000, 0),),
        ((0, 11_000, 100),),
    ],
)
def test_broken_bands_are_refused(bands: tuple[tuple[int, int, int], ...]) -> None:
    with pytest.raises(MalformedGrid):
        PriceGrid.of(tuple(BandV1(start_e4=a, end_e4=b, step_e4=c) for a, b, c in bands))

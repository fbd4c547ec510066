"""The check table of kalshi-api 21.2; the first two rows are fills recorded at the exchange."""

import pytest

from libs.common.domain.fees import FeeTerms, fee_of_fill, model_fee_e6
from libs.common.domain.side import Side

TAKER_ONLY = FeeTerms("quadratic", 10_000)
WITH_MAKER = FeeTerms("quadratic_with_maker_fees", 10_000)


@pytest.mark.parametrize(
    ("terms", "price_e4", "qty_e2", "is_taker", "net_e6"),
    [
        (TAKER_ONLY, 5200, 100, True, 17_500),
        (TAKER_ONLY, 9900, 100, True, 700),
        (TAKER_ONLY, 5000, 10_000, True, 1_750_000),
        (WITH_MAKER, 5000, 10_000, False, 437_500),
        (TAKER_ONLY, 5000, 10_000, False, 0),
        (FeeTerms("quadratic", 5_000), 5000, 10_000, True, 875_000),
        (FeeTerms("quadratic", 0), 5000, 10_000, True, 0),
        (FeeTerms("quadratic_with_combo_maker_fees", 10_000), 5000, 10_000, False, 875_000),
    ],
)
def test_a_single_fill_costs_what_the_venue_charged(
    terms: FeeTerms, price_e4: int, qty_e2: int, is_taker: bool, net_e6: int
) -> None:
    assert fee_of_fill(terms, Side.BID, price_e4, qty_e2, is_taker=is_taker).net_e6 == net_e6


def test_the_order_accumulator_gives_the_excess_back_on_the_fourth_fill() -> None:
    accumulator_e6 = 0
    net: list[int] = []
    for _ in range(4):
        fee = fee_of_fill(TAKER_ONLY, Side.BID, 5200, 100, is_taker=True, accumulator_e6=accumulator_e6)
        accumulator_e6 = fee.accumulator_e6
        net.append(fee.net_e6)
    assert net == [17_500, 17_500, 17_500, 17_400]


def test_the_model_fee_is_rounded_up_to_the_millionth() -> None:
    assert model_fee_e6(TAKER_ONLY, 5200, 100, is_taker=True) == 17_472
    assert model_fee_e6(TAKER_ONLY, 550, 100, is_taker=True) == 3_639


def test_an_unknown_fee_type_is_taken_for_the_dearest() -> None:
    unknown = FeeTerms("a_new_word", 10_000)
    assert model_fee_e6(unknown, 5000, 100, is_taker=False) == model_fee_e6(
        TAKER_ONLY, 5000, 100, is_taker=True
    )

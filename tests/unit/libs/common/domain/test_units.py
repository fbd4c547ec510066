"""Numbers from the wire become exact integers, or are refused."""

import pytest

from libs.common.domain.units import (
    MalformedNumber,
    format_cash,
    format_price,
    format_qty,
    notional_e6,
    parse_cash_e6,
    parse_price_e4,
    parse_qty_e2,
)


@pytest.mark.parametrize(
    ("text", "price_e4"),
    [("0.5600", 5600), ("0.56", 5600), ("0.0001", 1), ("1.0000", 10_000), ("0", 0), ("0.520000", 5200)],
)
def test_a_price_text_becomes_ten_thousandths(text: str, price_e4: int) -> None:
    assert parse_price_e4(text) == price_e4


@pytest.mark.parametrize(
    "text",
    ["", "1.0001", "-0.5", "0.56001", ".5", "0.", "0,5", "٠.٥", "1e-1", " 0.5", "0.5\n", "NaN"],  # noqa: RUF001 - Arabic digits are the point
)
def test_a_price_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedNumber):
        parse_price_e4(text)


@pytest.mark.parametrize(
    ("text", "qty_e2"), [("10.00", 1000), ("-54.00", -5400), ("7.77", 777), ("3", 300), ("0.5", 50)]
)
def test_a_count_text_becomes_hundredths(text: str, qty_e2: int) -> None:
    assert parse_qty_e2(text) == qty_e2


@pytest.mark.parametrize("text", ["", "1.001", "+1", "1.", "--1", "1e3"])
def test_a_count_finer_than_hundredths_is_refused(text: str) -> None:
    with pytest.raises(MalformedNumber):
        parse_qty_e2(text)


def test_money_keeps_six_decimals_and_its_sign() -> None:
    assert parse_cash_e6("-0.017472") == -17_472
    assert parse_cash_e6("98.0186") == 98_018_600


def test_texts_are_written_as_the_venue_writes_them() -> None:
    assert format_price(1200) == "0.1200"
    assert format_qty(-5400) == "-54.00"
    assert format_cash(-98_018_600, 4) == "-98.0186"


def test_money_is_never_rounded_in_silence() -> None:
    with pytest.raises(ValueError, match="finer than 4 decimals"):
        format_cash(1, 4)


def test_price_times_quantity_is_exact() -> None:
    assert notional_e6(1, 1) == 1
    assert notional_e6(5200, 100) == 520_000

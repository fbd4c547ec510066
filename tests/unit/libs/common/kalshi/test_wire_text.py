from decimal import Decimal

import pytest

from libs.common.kalshi import wire_text
from libs.common.kalshi.wire_text import (
    MalformedWire,
    cash_e6,
    cents_e6,
    count_e2,
    multiplier_e4,
    price_e4,
    qty_e2,
    time_ms,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.5600", 5_600), ("1.0000", 10_000), ("0.56", 5_600), ("0.0001", 1), ("0.120000", 1_200)],
)
def test_prices_are_read_exactly_in_every_form_the_venue_writes(text: str, value: int) -> None:
    assert price_e4(text) == value


@pytest.mark.parametrize("text", ["", "0.56001", "1.0001", "-0.1", "\u0660.\u0665", "0,5", "5e-1", "0.5 "])
def test_prices_of_another_form_are_malformed(text: str) -> None:
    with pytest.raises(MalformedWire):
        price_e4(text)


def test_counts_are_signed_where_a_change_is_and_not_where_a_size_is() -> None:
    assert qty_e2("-54.00") == -5_400
    assert count_e2("7.77") == 777
    assert count_e2(None) == 0
    with pytest.raises(MalformedWire):
        count_e2("-1.00")


def test_the_table_of_seen_counts_stays_within_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_text, "REMEMBERED_MAX", 10)
    monkeypatch.setattr(wire_text, "_COUNTS", {})
    for n in range(100):
        assert qty_e2(f"{n}.00") == n * 100
    assert len(wire_text._COUNTS) <= 10


def test_money_comes_from_dollars_and_from_the_few_fields_in_cents() -> None:
    assert cash_e6("0.017500") == 17_500
    assert cash_e6("-2.5") == -2_500_000
    assert cash_e6(None) == 0
    assert cents_e6(9_801) == 98_010_000


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-06-11T06:29:20.866753Z", 1_781_159_360_866),
        ("2026-06-11T05:39:31.28563Z", 1_781_156_371_285),
        ("2026-06-25T16:00:00Z", 1_782_403_200_000),
        ("2026-06-25T16:00:00+00:00", 1_782_403_200_000),
        (None, 0),
        ("", 0),
    ],
)
def test_times_are_read_with_any_number_of_decimals(text: str | None, ms: int) -> None:
    assert time_ms(text) == ms


@pytest.mark.parametrize("text", ["2026-06-25T16:00:00", "yesterday", "2026-13-01T00:00:00Z"])
def test_times_without_zone_or_of_another_form_are_malformed(text: str) -> None:
    with pytest.raises(MalformedWire):
        time_ms(text)


def test_multipliers_are_exact_and_rounded_up_when_finer_than_our_unit() -> None:
    assert multiplier_e4(Decimal("0.5")) == 5_000
    assert multiplier_e4(Decimal(0)) == 0
    assert multiplier_e4(Decimal("0.00001")) == 1
    assert multiplier_e4(None) is None
    for absurd in (Decimal(-1), Decimal("NaN"), Decimal(1_001)):
        with pytest.raises(MalformedWire):
            multiplier_e4(absurd)

"""Texts of the venue in our integers: prices, counts, money and times, fast where it matters.

A feed repeats the same few thousand price and count texts, so both are looked
up before they are parsed; what was never seen goes through the exact parser of
`units.py` and is remembered, within a bound, because the texts come from
outside and a table that only grows is a leak.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Final

from libs.common.domain.units import (
    CENT_E6,
    DOLLAR_E4,
    CashE6,
    MalformedNumber,
    PriceE4,
    QtyE2,
    parse_cash_e6,
    parse_price_e4,
    parse_qty_e2,
)

MalformedWire = MalformedNumber
"""A text of the venue has another form than its field allows."""

REMEMBERED_MAX: Final = 65_536

# Every price as the venue writes it, with four decimals: a feed hits this table always.
_PRICES: Final[dict[str, PriceE4]] = {
    f"{p // DOLLAR_E4}.{p % DOLLAR_E4:04d}": PriceE4(p) for p in range(DOLLAR_E4 + 1)
}
_COUNTS: Final[dict[str, QtyE2]] = {}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def price_e4(text: str) -> PriceE4:
    """Return a price of 0 to 1 dollar.

    Raises:
        MalformedWire: Another form.
    """
    price = _PRICES.get(text)
    return parse_price_e4(text) if price is None else price


def qty_e2(text: str) -> QtyE2:
    """Return a count, signed.

    Raises:
        MalformedWire: Another form.
    """
    qty = _COUNTS.get(text)
    if qty is None:
        qty = parse_qty_e2(text)
        if len(_COUNTS) >= REMEMBERED_MAX:
            _COUNTS.clear()
        _COUNTS[text] = qty
    return qty


def count_e2(text: str | None) -> QtyE2:
    """Return a count that cannot be negative; 0 where the field is absent.

    Raises:
        MalformedWire: Another form, or below zero.
    """
    if not text:
        return QtyE2(0)
    qty = qty_e2(text)
    if qty < 0:
        raise MalformedWire(f"count of zero or more, was {text!r}")
    return qty


def cash_e6(text: str | None) -> CashE6:
    """Return an amount of money; 0 where the field is absent.

    Raises:
        MalformedWire: Another form.
    """
    return parse_cash_e6(text) if text else CashE6(0)


def cents_e6(cents: int | None) -> CashE6:
    """Return the money of one of the few fields that still count cents (kalshi-api 3.4)."""
    return CashE6((cents or 0) * CENT_E6)


def time_ms(text: str | None) -> int:
    """Return Unix milliseconds of an RFC 3339 time; 0 where the field is absent or empty.

    Raises:
        MalformedWire: Another form, or a time without its zone.
    """
    if not text:
        return 0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedWire(f"RFC 3339 time, was {text!r}") from None
    if moment.tzinfo is None:
        raise MalformedWire(f"RFC 3339 time with a zone, was {text!r}")
    elapsed = moment - _EPOCH
    return (elapsed.days * 86_400 + elapsed.seconds) * 1_000 + elapsed.microseconds // 1_000


def multiplier_e4(number: Decimal | None) -> int | None:
    """Return a fee multiplier in ten-thousandths, rounded up: a fee is never estimated too low.

    Raises:
        MalformedWire: Negative, not finite or absurdly large.
    """
    if number is None:
        return None
    if not number.is_finite() or number < 0 or number > 1_000:
        raise MalformedWire(f"fee multiplier of 0 to 1000, was {number}")
    return int((number * DOLLAR_E4).to_integral_value(rounding=ROUND_CEILING))

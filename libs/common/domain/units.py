"""Exact units of price, quantity and money, and their text on the wire.

Everything is an integer: a price counts ten-thousandths of a dollar, a quantity
hundredths of a contract, and their product is millionths of a dollar without
any rounding. Floats live inside estimators only and come back through a price
grid (`grid.py`), so no sum of money ever depends on binary fractions.

Sources: kalshi-api sections 3.1 and 3.4 (decimal strings; two to four decimals
in requests, up to six on cost and fee fields).
"""

from __future__ import annotations

import re
from typing import Final, NewType

PriceE4 = NewType("PriceE4", int)
"""Ten-thousandths of a dollar per contract; always the YES price; 0 to 10_000."""

QtyE2 = NewType("QtyE2", int)
"""Hundredths of a contract; signed where it is a position (positive is YES)."""

CashE6 = NewType("CashE6", int)
"""Millionths of a dollar; signed."""

DOLLAR_E4: Final = 10_000
DOLLAR_E6: Final = 1_000_000
CONTRACT_E2: Final = 100
CENT_E6: Final = 10_000

_PRICE_TEXT = re.compile(r"([0-9])(?:\.([0-9]{1,4})0{0,2})?")
_QTY_TEXT = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,2})0*)?")
_CASH_TEXT = re.compile(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,6}))?")


class MalformedNumber(ValueError):  # noqa: N818 - named for what was found, as all our errors are
    """A number from outside has another form than its field allows."""


def parse_price_e4(text: str) -> PriceE4:
    """Return the price written as a dollar string, for example ``"0.1200"``.

    Args:
        text: One digit, a point, one to four decimals (up to two more zeros, as
            cost fields write them); dollars per contract.

    Returns:
        Ten-thousandths of a dollar, 0 to 10_000 inclusive.

    Raises:
        MalformedNumber: The text has another form or lies above one dollar.
    """
    match = _PRICE_TEXT.fullmatch(text)
    if match is None:
        raise MalformedNumber(f"price text, was {text!r}")
    price_e4 = int(match[1]) * DOLLAR_E4 + int((match[2] or "").ljust(4, "0"))
    if price_e4 > DOLLAR_E4:
        raise MalformedNumber(f"price above one dollar, was {text!r}")
    return PriceE4(price_e4)


def parse_qty_e2(text: str) -> QtyE2:
    """Return the count written as a contract string, for example ``"-54.00"``.

    Raises:
        MalformedNumber: The text has another form or more than two decimals.
    """
    match = _QTY_TEXT.fullmatch(text)
    if match is None:
        raise MalformedNumber(f"count text, was {text!r}")
    qty_e2 = int(match[2]) * CONTRACT_E2 + int((match[3] or "").ljust(2, "0"))
    return QtyE2(-qty_e2 if match[1] else qty_e2)


def parse_cash_e6(text: str) -> CashE6:
    """Return the money written as a dollar string with up to six decimals.

    Raises:
        MalformedNumber: The text has another form.
    """
    match = _CASH_TEXT.fullmatch(text)
    if match is None:
        raise MalformedNumber(f"dollar text, was {text!r}")
    cash_e6 = int(match[2]) * DOLLAR_E6 + int((match[3] or "").ljust(6, "0"))
    return CashE6(-cash_e6 if match[1] else cash_e6)


def format_price(price_e4: int) -> str:
    """Return the price as the venue writes it: ``"0.1200"``."""
    assert 0 <= price_e4 <= DOLLAR_E4, f"price of 0 to 10_000, was {price_e4}"
    return f"{price_e4 // DOLLAR_E4}.{price_e4 % DOLLAR_E4:04d}"


def format_qty(qty_e2: int) -> str:
    """Return the count as the venue writes it: ``"-54.00"``."""
    whole, part = divmod(abs(qty_e2), CONTRACT_E2)
    return f"{'-' if qty_e2 < 0 else ''}{whole}.{part:02d}"


def format_cash(cash_e6: int, decimals: int = 6) -> str:
    """Return the money as a dollar string with ``decimals`` places (4 or 6), exactly.

    Raises:
        ValueError: The amount is finer than the asked decimals; nothing is rounded in silence.
    """
    step = 10 ** (6 - decimals)
    if cash_e6 % step:
        raise ValueError(f"money finer than {decimals} decimals, was {cash_e6} millionths")
    whole, part = divmod(abs(cash_e6), DOLLAR_E6)
    return f"{'-' if cash_e6 < 0 else ''}{whole}.{part // step:0{decimals}d}"


def notional_e6(price_e4: int, qty_e2: int) -> CashE6:
    """Return price times quantity, exactly: E4 times E2 is E6."""
    return CashE6(price_e4 * qty_e2)

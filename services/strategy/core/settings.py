"""What the operator says about quoting, per market, and how entries combine.

A market's settings are the static ``markets.default``, the live default, the
static entry of the market and its live entry, in that order, later fields
winning. Everything that permits is off unless said (A-022, A-023); the two
quantities that bound a loss have no default, and zero means zero. Stages that
price may be turned off one by one; those that protect may not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec

Quantity = Annotated[int, msgspec.Meta(ge=0)]
Ms = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Positive = Annotated[float, msgspec.Meta(gt=0.0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
Price = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class MarketSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every strategy understands about one market."""

    enabled: bool = False
    reduce_only: bool = False
    bid_enabled: bool = True
    ask_enabled: bool = True

    size_e2: Quantity
    """Wanted quantity of a quote, hundredths of a contract."""
    inventory_e2_max: Quantity
    """Neither side of a filled quote takes the position beyond this, long or short."""
    size_e2_max: Quantity | None = None
    """No quote is larger; unset: twice ``size_e2`` (D-081)."""
    size_e2_min: Quantity = 100
    size_step_e2: Annotated[int, msgspec.Meta(ge=1)] = 100
    scale_e4: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 10_000
    """Factor on the size, ten-thousandths: the streak factor of D-082."""
    bankroll_e6: Quantity = 0
    """Money that Kelly size and the 5 % limit refer to; 0: neither applies."""
    kelly_fraction: Share = 0.0
    """Part of the Kelly size that bounds a quote (D-080); 0: it does not apply."""

    min_spread_e4: Quantity = 0
    """Quote only where the market's spread, own orders apart, is at least this (A-093)."""
    price_e4_min: Price = 1
    price_e4_max: Price = 9_999

    life_ms: Annotated[int, msgspec.Meta(ge=1)] = 3_000
    """A target expires so long after the exchange time its book vouches for."""
    fade_ms: Ms = 60_000
    """Size falls with the square root of the time to close inside this."""
    reduce_ms: Ms = 20_000
    """Only quotes that reduce the position inside this."""
    stop_ms: Ms = 5_000
    """No quotes inside this."""
    stages_off: tuple[str, ...] = ()
    """Pricing stages to leave out, for comparison."""


M = TypeVar("M", bound=MarketSettings)


class BadSettings(ValueError):  # noqa: N818 - named for what was found
    """An entry does not fit; the text names field, value and expectation."""


def combine(kind: type[M], *entries: Mapping[str, Any]) -> M:
    """Return the settings of the combined entries, later ones winning field by field.

    Raises:
        BadSettings: A field is unknown, missing or wrong.
    """
    merged: dict[str, Any] = {}
    for entry in entries:
        merged.update(entry)
    try:
        return msgspec.convert(merged, kind)
    except msgspec.ValidationError as e:
        raise BadSettings(_explain(str(e), merged)) from None


_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`(?: - at `\$\.?(.*)`)?")
_MISSING = re.compile(r"Object missing required field `(.*?)`(?: - at `\$\.?(.*)`)?")
_WRONG = re.compile(r"(.*) - at `\$\.?(.*)`", re.DOTALL)


# msgspec's complaint as "field: expectation, was value".
def _explain(text: str, tree: Mapping[str, Any]) -> str:
    for pattern, what in ((_UNKNOWN, "unknown field"), (_MISSING, "required, has no default, was missing")):
        if match := pattern.fullmatch(text):
            return f"{match[2]}.{match[1]}: {what}" if match[2] else f"{match[1]}: {what}"
    match = _WRONG.fullmatch(text)
    if match is None:
        return text
    value: Any = tree
    for name in match[2].split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    expected = match[1].replace("`", "").partition(", got ")[0]
    return f"{match[2]}: {expected[:1].lower()}{expected[1:]}, was {value!r}"

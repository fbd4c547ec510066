"""Ids in the venue's form (UUID text), from a seed: the same run mints the same ids."""

from __future__ import annotations

_MASK = (1 << 128) - 1
_STEP = 0x9E3779B97F4A7C15F39CC0605CEDC835  # odd, so every count below 2**128 gives another value
_VERSION_4 = 0x4 << 76
_VARIANT = 0x8 << 60
_KEEP = _MASK ^ (0xF << 76) ^ (0xF << 60)


class IdMint:
    """Hands out ids that look random, never repeat and follow from the seed alone.

    Six bits are fixed by the UUID form, so two counts could meet in the
    others; at 2**122 values and a stepping sequence that does not happen within
    any run, and a test walks a million of them.
    """

    def __init__(self, seed: int) -> None:
        self._value = (seed * 0xD1342543DE82EF95DA942042E4DD58B5 + 1) & _MASK

    def next(self) -> str:
        """Return a fresh id."""
        self._value = (self._value + _STEP) & _MASK
        text = f"{(self._value & _KEEP) | _VERSION_4 | _VARIANT:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def market_id_of(ticker: str) -> str:
    """Return the market's UUID: the same for the same ticker in every run."""
    value = 0xCBF29CE484222325
    for byte in ticker.encode():
        value = ((value ^ byte) * 0x100000001B3000000000000013B) & _MASK
    return IdMint(value).next()

"""What an answer proves about the venue's clock: its ``Date`` header, and when we asked and heard.

``Date`` has whole seconds and a server may write it once a second, so one answer
proves an interval some two seconds wide and never more. Many answers at different
moments of the second narrow it (whoever gathers them takes the largest lower and
the smallest upper bound, which is the minimum filter of half a round trip).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

WRITTEN_LATE_NS: Final = 1_000_000_000
"""Servers that keep the text of ``Date`` write it anew once a second; ours does not, nginx and Envoy do."""
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ClockBounds:
    """The venue's clock minus ours lies between these, nanoseconds; positive: the venue is ahead."""

    low_ns: int
    high_ns: int


def clock_bounds(headers: Iterable[tuple[bytes, bytes]], asked_ns: int, heard_ns: int) -> ClockBounds | None:
    """Return what an answer proves, or None: no date, one that cannot be read, or one out of a cache.

    Args:
        headers: Of the answer, names in any case.
        asked_ns: Our wall clock before the request left.
        heard_ns: Our wall clock when the answer was there.
    """
    date = b""
    for name, value in headers:
        match name.lower():
            case b"date":
                date = value
            case b"age" if value.strip() != b"0":
                return None
            case _:
                pass
    try:
        told_ns = int(parsedate_to_datetime(date.decode("ascii")).timestamp()) * _SECOND_NS
    except (ValueError, TypeError, UnicodeDecodeError, OverflowError):
        return None
    return ClockBounds(told_ns - heard_ns, told_ns + _SECOND_NS + WRITTEN_LATE_NS - asked_ns)

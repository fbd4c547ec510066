"""The venue's clock as its answers tell it: the ``Date`` header, which may be told wrong on purpose."""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache
from typing import Final

NS_PER_S: Final = 1_000_000_000


@lru_cache(maxsize=16)
def _date_text(seconds: int) -> bytes:
    return formatdate(seconds, usegmt=True).encode("ascii")


class DateHeader:
    """What the header says: the time, moved by ``offset_ns``. Nothing else of the venue moves with it."""

    def __init__(self) -> None:
        self.offset_ns = 0

    def line(self, now_ns: int) -> tuple[bytes, bytes]:
        """Return the header; whole seconds, cut off."""
        return b"date", _date_text((now_ns + self.offset_ns) // NS_PER_S)

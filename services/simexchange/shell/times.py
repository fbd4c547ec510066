"""Times as the venue writes them: RFC 3339 in UTC, microseconds with trailing zeros trimmed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

NS_PER_S = 1_000_000_000


@lru_cache(maxsize=4096)
def _seconds_text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(now_ns: int) -> str:
    """Return for example ``2026-06-11T06:29:20.866753Z``."""
    seconds, rest_ns = divmod(now_ns, NS_PER_S)
    micros = f"{rest_ns // 1000:06d}".rstrip("0")
    return f"{_seconds_text(seconds)}{'.' if micros else ''}{micros}Z"

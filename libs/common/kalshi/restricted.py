"""Lists that a restricted key may not see (kalshi-api 2.6): empty, and told, instead of a failed reading."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, TypeVar

from libs.common.runtime.errors import VenueRefused

T = TypeVar("T")

_FORBIDDEN: Final = frozenset({403, 404})

MAY_NOT: Final = "may not be read"
"""In the text of each list that is left out for good: the key has no right to it."""


async def allowed(reading: Awaitable[list[T]], name: str, untold: list[str]) -> list[T]:
    """Return a list, empty and named in ``untold`` where this key may not see it.

    Raises:
        VenueError: It could not be read for any other reason.
    """
    try:
        return await reading
    except VenueRefused as e:
        if e.status not in _FORBIDDEN:
            raise
        untold.append(f"{name} {MAY_NOT}: {e.status} {e.code}")
        return []

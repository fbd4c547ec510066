"""Pages and filters, with the venue's habits.

A cursor is opaque; a garbage one silently starts over, and the last page has an
empty one. A limit above the maximum is refused, never clamped (kalshi-api 7.1).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from services.simexchange.shell.reply import Call, bad_parameter

T = TypeVar("T")
Key = tuple[int, str]
NS_PER_S = 1_000_000_000


def page(items: Sequence[T], key: Callable[[T], Key], call: Call, limit: int) -> tuple[Sequence[T], str]:
    """Return one page of items, highest key first, and the cursor of the next (empty on the last)."""
    ordered = sorted(items, key=key, reverse=True)
    after = _read_cursor(call.get("cursor"))
    if after is not None:
        ordered = [item for item in ordered if key(item) < after]
    shown = ordered[:limit]
    is_last = len(shown) == len(ordered)
    return shown, "" if is_last or not shown else _write_cursor(key(shown[-1]))


def limit_of(call: Call, operation: str, *, default: int = 100, lowest: int = 1, highest: int = 1000) -> int:
    """Return the asked page size.

    Raises:
        ReplyError: Not a number, or outside the bounds.
    """
    limit = int_of(call, operation, "limit")
    if limit is None:
        return default
    if limit > highest:
        raise bad_parameter(operation, "limit", "lte")
    if limit < lowest:
        raise bad_parameter(operation, "limit", "gte")
    return limit or default


def int_of(call: Call, operation: str, name: str) -> int | None:
    """Return an integer parameter, or None if it is absent.

    Raises:
        ReplyError: It is no integer.
    """
    text = call.get(name)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise bad_parameter(operation, name, "number") from None


def words_of(call: Call, name: str) -> list[str]:
    """Return the values of a comma-separated parameter, also if it is repeated."""
    return [word for value in call.query.get(name, ()) for word in value.split(",") if word]


def within(call: Call, operation: str, low: str, high: str) -> Callable[[int], bool]:
    """Return whether a time (Unix nanoseconds) lies within two optional parameters in seconds, both included.

    Raises:
        ReplyError: A bound is no integer.
    """
    lowest, highest = int_of(call, operation, low), int_of(call, operation, high)
    if lowest is None and highest is None:
        return _always

    def is_within(time_ns: int) -> bool:
        seconds = time_ns // NS_PER_S
        return (lowest is None or seconds >= lowest) and (highest is None or seconds <= highest)

    return is_within


def _always(time_ns: int) -> bool:  # noqa: ARG001 - no bounds, no question
    return True


def _write_cursor(key: Key) -> str:
    return base64.urlsafe_b64encode(f"{key[0]}:{key[1]}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> Key | None:
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        number, _, name = raw.partition(":")
        return int(number), name
    except (binascii.Error, ValueError):
        return None

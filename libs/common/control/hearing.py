"""Halts that were heard on the core subject, counted against their stored copies.

A halt reaches us by several ways: each connection hears it once, and the stream shows
its copy before, later, or never. Two halts in the same words are two, and the copy of
the first must not stand for the second: else the resume that lifts the first would lift
a halt that nobody could name. Heard is the most that any one way heard; open is what is
heard beyond the copies.

Bounded: of one source, scope and level only the newest words stay open. A halt that no
stream has can be named by none of its words but those in which it is stored again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from libs.common.messages.control import HaltV1

_OPEN_MAX: Final = 8
"""Words that stay open of one source, scope and level: enough for all that say it at the same time."""
_KEPT_MAX: Final = 256

_Words = tuple[str, HaltV1]


@dataclass(slots=True)
class _Hearing:
    """How often one halt's words were heard by each way, and how many stored copies of them came."""

    by_way: Counter[str] = field(default_factory=Counter)
    copies: int = 0

    @property
    def open(self) -> int:
        """Return how many have no copy; below zero where copies came first."""
        return max(self.by_way.values(), default=0) - self.copies


@dataclass(slots=True)
class Hearings:
    """Every halt heard of late, the newest last."""

    _all: dict[_Words, _Hearing] = field(default_factory=dict)

    @property
    def open(self) -> tuple[_Words, ...]:
        """Return the halts without a copy, by source."""
        found = (words for words, hearing in self._all.items() if hearing.open > 0)
        return tuple(sorted(found, key=lambda words: (words[0], *_kind(words), words[1].reason)))

    def count(self, source: str, halt: HaltV1) -> int:
        """Return how many in these words have no copy."""
        hearing = self._all.get((source, halt))
        return max(0, hearing.open) if hearing is not None else 0

    def heard(self, source: str, halt: HaltV1, way: str, *, is_stored: bool) -> None:
        """Take a halt by one way; ``is_stored`` says whether an unlifted stored halt says the same."""
        words = (source, halt)
        hearing = self._all.pop(words, None)
        if hearing is None or (hearing.open <= 0 and not is_stored):
            # What is settled and lifted is another story.
            hearing = _Hearing()
        hearing.by_way[way] += 1
        self._all[words] = hearing
        self._bound(words)

    def copied(self, source: str, halt: HaltV1) -> None:
        """Take a stored copy."""
        self._all.setdefault((source, halt), _Hearing()).copies += 1
        self._bound((source, halt))

    def settled(self, source: str, halt: HaltV1, count: int | None) -> None:
        """Say that so many (None: all) in these words are stored in other words."""
        hearing = self._all[source, halt]
        hearing.copies += hearing.open if count is None else min(count, hearing.open)

    def _bound(self, newest: _Words) -> None:
        same = [words for words in self._all if words[0] == newest[0] and _kind(words) == _kind(newest)]
        # A newer one of the same reach stays open, so the older words may go.
        spare = [words for words in same if self._all[words].open > 0][:-_OPEN_MAX]
        if len(self._all) > _KEPT_MAX:
            spare += [words for words, one in self._all.items() if one.open <= 0 and words != newest][:1]
        for words in spare:
            del self._all[words]


def _kind(words: _Words) -> tuple[str, str, str]:
    """Return reach and level: a narrower or weaker halt never replaces a wider or stronger one."""
    halt = words[1]
    return (halt.scope.value, halt.scope_key, halt.level.value)

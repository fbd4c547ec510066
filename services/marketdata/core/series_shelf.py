"""What each series said of its fees, and when it should be asked again.

The feed tells of an event's fees when they change, and of a series' never: what
was read once would be quoted for ever (kalshi-api 9). The oldest words are asked
for first, a few with each listing, so that many series cost no more than that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from libs.common.kalshi.model import VenueSeries

AGAIN_MAX: Final = 10
"""Series asked about again with one listing; more of them are asked less often."""


@dataclass(slots=True)
class SeriesShelf:
    """The newest word of each series.

    Attributes:
        keep_ns: How long a word is taken for new.
    """

    keep_ns: int
    _words: dict[str, VenueSeries] = field(default_factory=dict)
    _asked_ns: dict[str, int] = field(default_factory=dict)

    def get(self, name: str) -> VenueSeries | None:
        """Return the newest word, old or new; None where there is none."""
        return self._words.get(name)

    def put(self, series: VenueSeries) -> None:
        """Take the word that answers what was asked."""
        self._words[series.series] = series

    def asked(self, name: str, now_ns: int) -> None:
        """Note that it is asked about now: a question that fails is not put again at once."""
        self._asked_ns[name] = now_ns

    def due(self, followed: Iterable[str], now_ns: int) -> tuple[str, ...]:
        """Return the series to ask again, the longest unasked first, and forget those that nobody follows."""
        names = set(followed)
        self._words = {name: word for name, word in self._words.items() if name in names}
        self._asked_ns = {name: asked_ns for name, asked_ns in self._asked_ns.items() if name in self._words}
        old = [name for name in self._words if now_ns - self._asked_ns[name] >= self.keep_ns]
        return tuple(sorted(old, key=lambda name: (self._asked_ns[name], name))[:AGAIN_MAX])

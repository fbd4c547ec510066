"""Announced changes of fees where we hold or quote, until what they announced is what we know.

Rules of the file:

* From a little before its moment a change stands in the way until the venue was asked
  after that moment, does what it announced, and marketdata says the same of every
  market that was ours meanwhile: quotes made of the old fee lose money on each fill.
* A market that was ours stays so for the change: the pause itself takes our quotes away.
* A venue that does something else is believed after a while; waiting longer for what
  it announced would be waiting for ever.
* A change that vanishes from the list before its moment was called off. One that
  vanishes at its moment came true.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from libs.common.kalshi.model import FeeChange
from services.riskguard.core.slow.limits import SlowLimits
from services.riskguard.core.slow.markets import Markets, Terms
from services.riskguard.core.slow.readings import EventFees
from services.riskguard.core.slow.view import HOUR_MS

ASK_AGAIN_NS: Final = 2_000_000_000
ASKED_MAX: Final = 20
"""Events asked about at once; the others wait for the next time."""
_MOMENT_MS: Final = 5_000
_WORDS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the fees come to.

    Attributes:
        left_ms: Until the next change where we hold or quote, None where none is announced.
        problems: Changes that stand in the way, one text each.
        events: Whose fees the venue should be asked for.
        warnings: By a key that stays while it is so.
    """

    left_ms: int | None = None
    problems: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    warnings: dict[str, str] = field(default_factory=dict)


class FeeWatch:
    """All announced changes."""

    def __init__(self) -> None:
        self._changes: dict[str, FeeChange] = {}
        self._touched: dict[str, set[str]] = {}
        """Change to the markets that were ours since it stood in the way."""
        self._words: dict[str, EventFees] = {}
        self._asked_ns: int | None = None

    def on_changes(self, changes: Iterable[FeeChange], now_ms: int) -> None:
        """Take the venue's whole list; a change whose moment came is kept until it is seen to hold."""
        listed = {change.change_id: change for change in changes}
        due = {
            change_id: change
            for change_id, change in self._changes.items()
            if change_id not in listed and change.at_ms <= now_ms + _MOMENT_MS
        }
        self._changes = due | listed
        self._touched = {key: markets for key, markets in self._touched.items() if key in self._changes}

    def on_event_fees(self, word: EventFees) -> None:
        """Take the venue's word about one event."""
        self._words.pop(word.event, None)
        if len(self._words) >= _WORDS_MAX:
            del self._words[next(iter(self._words))]
        self._words[word.event] = word

    def look(self, limits: SlowLimits, markets: Markets, now_ns: int, now_ms: int) -> Outlook:
        """Return what stands in the way and what is to come."""
        ours = markets.ours(now_ns)
        lefts: list[int] = []
        problems: list[str] = []
        events: set[str] = set()
        warnings: dict[str, str] = {}
        for change_id, change in list(self._changes.items()):
            left_ms = change.at_ms - now_ms
            scope = change.event or change.series
            reached = {name for name, terms in ours.items() if _is_of(change, terms)}
            if left_ms > limits.fee_lead_ms:
                if reached:
                    lefts.append(left_ms)
                    if left_ms <= limits.fee_warn_hours * HOUR_MS:
                        text = f"fees of {scope} change in {left_ms / HOUR_MS:.1f} hours"
                        warnings[f"fee change {change_id}"] = text
                continue
            touched = self._touched.setdefault(change_id, set())
            touched |= reached
            # The venue's own word counts from its moment if it does as announced, and later whatever it does.
            is_believed_anyway = now_ms >= change.at_ms + limits.fee_settle_ms
            open_events = {
                terms.event
                for market in touched
                if (terms := markets.terms(market)) is not None
                and not terms.is_over
                and not self._holds(change, market, terms, now_ms, is_believed=is_believed_anyway)
            }
            if open_events:
                lefts.append(max(0, left_ms))
                problems.append(f"fees of {scope} change at {change.at_ms} ms")
                # Asked before the moment, the venue could only tell what it was.
                events |= open_events if left_ms <= 0 else set()
            elif is_believed_anyway or (touched and left_ms <= 0):
                del self._changes[change_id], self._touched[change_id]
        return Outlook(min(lefts, default=None), tuple(problems), tuple(sorted(events)), warnings)

    def ask(self, outlook: Outlook, now_ns: int) -> tuple[str, ...]:
        """Return the events to ask the venue about now; each time is at least two seconds after the last."""
        if not outlook.events or (self._asked_ns is not None and now_ns - self._asked_ns < ASK_AGAIN_NS):
            return ()
        self._asked_ns = now_ns
        oldest_first = sorted(
            outlook.events, key=lambda event: self._words[event].started_ms if event in self._words else 0
        )
        return tuple(oldest_first[:ASKED_MAX])

    def _holds(self, change: FeeChange, market: str, terms: Terms, now_ms: int, *, is_believed: bool) -> bool:
        word = self._words.get(terms.event)
        if word is None or word.started_ms < change.at_ms:
            return False
        return (is_believed or word.is_as(change)) and terms.fee == word.fee_of(market, now_ms)


def _is_of(change: FeeChange, terms: Terms) -> bool:
    return change.event == terms.event if change.event else change.series == terms.series

"""Every order of up to eight events of one order ends in the right state, and no step counts too little.

Each family is one history of the venue with the events that tell of it; to each, one read
is added in turn: begun before everything or well after it, of the order's market or of resting
orders, showing each version that it may show. Exhaustive: every permutation that its causes
allow is told, and the number of them is part of the test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from libs.common.kalshi.model import Refused, Unknown
from tests.support.order_truth import (
    CANCELED,
    EXECUTED,
    NOTHING,
    RESTING,
    Event,
    History,
    Version,
    amend_answer,
    amend_sent,
    answer,
    cancel_answer,
    cancel_sent,
    early_read,
    feed,
    fill,
    late_read,
    orders_of,
    run_one,
    yes,
)

LOST = Unknown(0, "timeout")
GONE = Refused(404, "not_found", "not found")
NO = Refused(400, "invalid_price", "")
THERE = Refused(409, "order_already_exists", "")
RATED = Refused(429, "too_many_requests", "", is_rate_limit=True)

NEW = Version(RESTING, 0, 500)
PART = Version(RESTING, 100, 400, fill=100)
WHOLE = Version(EXECUTED, 500, 0, fill=400)
FILLED = (NOTHING, NEW, PART, WHOLE)
AT_ONCE = (NOTHING, NEW, Version(EXECUTED, 500, 0, fill=500))
KILLED = (NOTHING, Version(CANCELED, 200, 0, fill=200))
CANCELLED = (NOTHING, NEW, PART, Version(CANCELED, 100, 0, needs="cancel_sent"))
WITHDRAWN = (NOTHING, NEW, PART, Version(CANCELED, 100, 0))
STILL = (NOTHING, NEW, PART)
AMENDED = (
    NOTHING,
    NEW,
    PART,
    Version(RESTING, 100, 600, 4_900, needs="amend_sent"),
    Version(RESTING, 300, 400, 4_900, fill=200),
)
DECREASED = (
    NOTHING,
    NEW,
    PART,
    Version(RESTING, 100, 200, needs="amend_sent"),
    Version(EXECUTED, 300, 0, fill=200),
)
CUT = (NOTHING, NEW, Version(RESTING, 400, 100, fill=400), Version(CANCELED, 400, 0, needs="amend_sent"))
MOVED_AND_GONE = (
    NOTHING,
    NEW,
    Version(RESTING, 0, 700, 4_900, needs="amend_sent"),
    Version(CANCELED, 0, 0, 4_900, needs="cancel_sent"),
)
FILLED_MOVED_AND_GONE = (
    NOTHING,
    NEW,
    PART,
    Version(RESTING, 100, 600, 4_900, needs="amend_sent"),
    Version(CANCELED, 100, 0, 4_900, needs="cancel_sent"),
)
UNMOVED_AND_GONE = (NOTHING, NEW, Version(CANCELED, 0, 0, needs="cancel_sent"))
BEFORE = (feed(1), feed(2), fill(2))
AFTER_CHANGE = (feed(3, "amend_sent"), feed(4, "amend_sent"))
LARGER, SMALLER, BLIND = (
    amend_sent(4_900, 700),
    amend_sent(4_800, 300),
    amend_sent(4_800, 200, is_blind=True),
)
MOVED = amend_answer(yes(3, remaining=600), 3)
SHRUNK = amend_answer(yes(3, remaining=200), 3)
CANCEL_LOST = cancel_answer(LOST)
RESTS = answer(yes(1), 1)


@dataclass(frozen=True)
class Family:
    """A history with its events, and how many orders of them there are."""

    name: str
    versions: tuple[Version, ...]
    events: tuple[Event, ...]
    cases: int
    with_reads: bool = True
    is_fill_named: bool = True

    def histories(self) -> Iterator[History]:
        """Yield the history with each read in turn, or alone."""
        if not self.with_reads:
            yield History(self.name, self.versions, self.events, is_fill_named=self.is_fill_named)
            return
        for shown in range(len(self.versions)):
            needs = tuple(one.needs for one in self.versions[: shown + 1] if one.needs)
            # Which of the two kinds of read goes with which version alternates: both kinds see every family.
            for read, is_listing in ((early_read, shown % 2 == 0), (late_read, shown % 2 == 1)):
                events = (*self.events, read(shown, *needs, is_listing=is_listing))
                yield History(self.name, self.versions, events, is_fill_named=self.is_fill_named)


FAMILIES = (
    Family("filled", FILLED, (RESTS, *BEFORE, feed(3), fill(3)), 28_608),
    Family(
        "filled, fills without our id",
        FILLED,
        (RESTS, *BEFORE, feed(3), fill(3)),
        28_608,
        is_fill_named=False,
    ),
    Family("filled, answer lost", FILLED, (answer(LOST), *BEFORE, feed(3), fill(3)), 28_728),
    Family("filled, id was there", FILLED, (answer(THERE, 1), feed(1), feed(3), fill(2), fill(3)), 4_140),
    Family("filled on entry", KILLED, (answer(yes(1, filled=200, remaining=0), 1), feed(1), fill(1)), 78),
    Family("filled on entry, answer lost", KILLED, (answer(LOST), feed(1), fill(1)), 80),
    Family("refused", (NOTHING,), (answer(NO),), 4),
    Family("never arrived", (NOTHING,), (answer(LOST),), 4),
    Family(
        "cancelled",
        CANCELLED,
        (
            RESTS,
            *BEFORE,
            cancel_sent(),
            cancel_answer(yes(3, reduced=400, remaining=0), 3),
            feed(3, "cancel_sent"),
        ),
        43_136,
    ),
    Family(
        "cancelled, answer lost",
        CANCELLED,
        (RESTS, feed(2), fill(2), cancel_sent(), CANCEL_LOST, feed(3, "cancel_sent")),
        4_960,
    ),
    Family("cancel lost", STILL, (RESTS, *BEFORE, cancel_sent(), CANCEL_LOST), 7_920),
    Family("cancel refused for rate", STILL, (RESTS, *BEFORE, cancel_sent(), cancel_answer(RATED)), 7_920),
    Family("cancel met a fill", AT_ONCE, (RESTS, *BEFORE, cancel_sent(), cancel_answer(GONE, 2)), 7_776),
    Family("cancel met a fill, answer lost", AT_ONCE, (RESTS, *BEFORE, cancel_sent(), CANCEL_LOST), 7_800),
    Family("withdrawn by the venue", WITHDRAWN, (RESTS, *BEFORE, feed(3)), 4_260),
    Family("withdrawn, answer lost", WITHDRAWN, (answer(LOST), *BEFORE, feed(3)), 4_284),
    Family(
        "withdrawn before our cancel",
        WITHDRAWN,
        (RESTS, feed(1), fill(2), feed(3), cancel_sent(), cancel_answer(GONE, 3)),
        10_386,
    ),
    Family("amended", AMENDED, (RESTS, feed(2), fill(2), LARGER, MOVED, *AFTER_CHANGE), 28_416),
    Family(
        "amended, then filled",
        AMENDED,
        (RESTS, feed(2), fill(2), LARGER, MOVED, *AFTER_CHANGE, fill(4, "amend_sent")),
        3_024,
        with_reads=False,
    ),
    Family(
        "amended, answer lost",
        AMENDED,
        (RESTS, fill(2), LARGER, amend_answer(LOST), *AFTER_CHANGE, fill(4, "amend_sent")),
        15_860,
    ),
    Family("amend lost", STILL, (RESTS, *BEFORE, LARGER, amend_answer(LOST)), 7_680),
    Family("amend refused", STILL, (RESTS, *BEFORE, LARGER, amend_answer(NO)), 7_680),
    Family("amend met a fill", AT_ONCE, (RESTS, *BEFORE, LARGER, amend_answer(GONE, 2)), 1_932),
    Family("decreased", DECREASED, (RESTS, feed(2), fill(2), SMALLER, SHRUNK, *AFTER_CHANGE), 28_416),
    Family(
        "decreased, then filled",
        DECREASED,
        (RESTS, feed(2), fill(2), SMALLER, SHRUNK, *AFTER_CHANGE, fill(4, "amend_sent")),
        3_024,
        with_reads=False,
    ),
    Family(
        "decreased to nothing by a fill",
        CUT,
        (RESTS, feed(2), fill(2), BLIND, amend_answer(yes(3, remaining=0), 3), feed(3, "amend_sent")),
        1_000,
    ),
    Family(
        "amended, cancelled",
        MOVED_AND_GONE,
        (
            RESTS,
            feed(1),
            LARGER,
            amend_answer(yes(2, remaining=700), 2),
            feed(2, "amend_sent"),
            cancel_sent(),
            cancel_answer(yes(3, reduced=700, remaining=0), 3),
            feed(3, "amend_sent", "cancel_sent"),
        ),
        560,
        with_reads=False,
    ),
    Family(
        "amend unanswered, cancelled",
        FILLED_MOVED_AND_GONE,
        (
            RESTS,
            fill(2),
            LARGER,
            amend_answer(LOST),
            feed(3, "amend_sent"),
            cancel_sent(),
            cancel_answer(yes(4, reduced=600, remaining=0), 4),
            feed(4, "amend_sent", "cancel_sent"),
        ),
        560,
        with_reads=False,
    ),
    Family(
        "amend lost, cancelled",
        UNMOVED_AND_GONE,
        (
            RESTS,
            feed(1),
            LARGER,
            amend_answer(LOST),
            cancel_sent(),
            cancel_answer(yes(2, reduced=500, remaining=0), 2),
            feed(2, "cancel_sent"),
        ),
        3_270,
    ),
)


@pytest.mark.timeout(600)  # the largest takes 13 s of a processor, which it may have to share
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_order_of_events_ends_in_the_right_state(family: Family) -> None:
    cases = 0
    for history in family.histories():
        for order in orders_of(history.events):
            try:
                cases += run_one(history, order) is not None
            except AssertionError as e:
                raise AssertionError(f"{history.name}: {[event.name for event in order]}: {e}") from e
    assert cases == family.cases


@pytest.mark.parametrize("family", FAMILIES[:4], ids=lambda family: family.name)
def test_repeating_all_of_it_changes_nothing_even_within_one_millisecond(family: Family) -> None:
    history = History(
        family.name, family.versions, family.events, same_ms=True, is_fill_named=family.is_fill_named
    )
    cases = sum(
        run_one(history, order, twice=True) is not None for order in orders_of(history.events, fifo=True)
    )
    assert cases > 0

"""What the status tells of the venue's answers, for whoever watches how many of them fail."""

from __future__ import annotations

from typing import Any, cast

import pytest

from libs.common.kalshi.line import NO_CONNECTION
from libs.common.kalshi.model import Accepted, Outcome, Refused, Unknown
from libs.common.kalshi.order_sender import SendOutcome, Unsent
from libs.common.kalshi.rest import VenueReader
from libs.common.runtime.errors import VenueError, VenueProtocolError, VenueRefused, VenueUnavailable
from services.executor.core.effects import Effect
from services.executor.shell.pacing import Pacing
from services.executor.shell.polls import Polls
from tests.support.executor_builders import a_desk

ACCEPTED = Accepted("o", "c", 0, 100, 0, 0)
REFUSED = Refused(400, "invalid_order", "")
LOST = Unknown(0, "timeout")


def ignore(effects: list[Effect]) -> None:
    del effects


@pytest.mark.parametrize(
    ("outcomes", "requests", "errors"),
    [
        ([ACCEPTED], 1, 0),
        ([REFUSED], 1, 0),
        ([Refused(429, "too_many_requests", "", is_rate_limit=True)], 1, 0),
        ([ACCEPTED, LOST, LOST], 1, 1),
        ([Unknown(503, "server_error")], 1, 1),
        ([Unsent(NO_CONNECTION)], 1, 1),
        ([Unsent("halt_heard")], 0, 0),
    ],
)
def test_a_write_is_one_request_however_many_items_it_has(
    outcomes: list[SendOutcome | Outcome], requests: int, errors: int
) -> None:
    desk = a_desk()
    pacing = Pacing(engine=desk.engine, buckets=cast("Any", None), clock=cast("Any", None), perform=ignore)
    pacing.count(outcomes)
    counters = desk.engine.account.counters
    assert (counters["api_requests"], counters["api_errors"]) == (requests, errors)


class SickReader:
    """Answers settlements with a failure."""

    def __init__(self, failure: VenueError | None) -> None:
        self._failure = failure

    async def orders(self, **_: Any) -> list[Any]:
        return []

    async def fills(self, **_: Any) -> list[Any]:
        return []

    async def positions(self, **_: Any) -> list[Any]:
        raise VenueRefused("not for you", status=403, code="out_of_scope")

    async def settlements(self, **_: Any) -> list[Any]:
        if self._failure is not None:
            raise self._failure
        return []


@pytest.mark.parametrize(
    ("failure", "errors", "limited"),
    [
        (None, 0, 0),
        (VenueUnavailable("GET /x: timeout"), 1, 0),
        (VenueProtocolError("GET /x: expected JSON"), 1, 0),
        (VenueUnavailable("GET /x: too_many_requests"), 0, 1),
    ],
)
async def test_reads_count_with_what_became_of_them(
    failure: VenueError | None, errors: int, limited: int
) -> None:
    desk = a_desk()
    polls = Polls(
        engine=desk.engine,
        reader=cast("VenueReader", SickReader(failure)),
        now=lambda: desk.now,
        perform=ignore,
        look_s=0.5,
        compare_s=5.0,
    )
    polls.want_settlements()
    await polls.look()
    counters = desk.engine.account.counters
    # Resting orders, fills, refused positions, settlements.
    assert counters["api_requests"] == 4
    assert (counters["api_errors"], counters["reads_rate_limited"]) == (errors, limited)

"""What an answer's date proves about the venue's clock, and never more."""

from __future__ import annotations

from email.utils import formatdate

import httpx
import pytest

from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.server_clock import ClockBounds, clock_bounds
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.clock import ManualClock
from services.simexchange.shell.date import DateHeader
from tests.support.scripted_http import always, answer, scripted_http

S = 1_000_000_000
NOW_NS = 1_700_000_000 * S
STATUS = {"exchange_active": True, "trading_active": True}


def date(seconds: float) -> tuple[bytes, bytes]:
    return b"Date", formatdate(seconds, usegmt=True).encode()


@pytest.mark.parametrize("offset_ns", [0, 3 * S, -3 * S, S // 3])
@pytest.mark.parametrize("way_ns", [0, S // 10, 2 * S])
@pytest.mark.parametrize("written_late_ns", [0, S - 1])
@pytest.mark.parametrize("phase_ns", [0, 1, S // 2, S - 1])
def test_the_truth_is_never_outside(offset_ns: int, way_ns: int, written_late_ns: int, phase_ns: int) -> None:
    """Wherever on the way the date was written, within the second or by a server that writes it late."""
    asked_ns, heard_ns = NOW_NS + phase_ns, NOW_NS + phase_ns + way_ns
    for at_ns in (asked_ns, heard_ns):
        theirs_ns = at_ns + offset_ns
        told = (theirs_ns - written_late_ns) // S if written_late_ns else theirs_ns // S
        found = clock_bounds([date(told)], asked_ns, heard_ns)
        assert found is not None
        assert found.low_ns <= offset_ns <= found.high_ns
        assert found.high_ns - found.low_ns == 2 * S + way_ns


def test_an_answer_without_a_date_or_out_of_a_cache_proves_nothing() -> None:
    assert clock_bounds([], NOW_NS, NOW_NS) is None
    assert clock_bounds([date(0), (b"age", b"12")], NOW_NS, NOW_NS) is None
    assert clock_bounds([date(0), (b"Age", b"0")], NOW_NS, NOW_NS) is not None


@pytest.mark.parametrize("text", [b"", b"yesterday", b"\xff\xfe", b"Mon, 99 Foo 2026 99:99:99 GMT"])
def test_a_date_that_cannot_be_read_proves_nothing(text: bytes) -> None:
    assert clock_bounds([(b"date", text)], NOW_NS, NOW_NS) is None


async def test_a_reader_hands_over_what_each_answer_proves_once_somebody_asks() -> None:
    told: list[ClockBounds] = []
    clock = ManualClock(now_ns=NOW_NS)
    dated = b"date: " + formatdate(1_700_000_010, usegmt=True).encode() + b"\r\ncontent-type"
    async with scripted_http(always(answer(200, STATUS).replace(b"content-type", dated, 1))) as http:
        reader = VenueReader(http.url, make_transport(http.url), None, clock)
        await reader.exchange_status()
        assert told == []
        reader.watch_clock(told.append)
        await reader.exchange_status()
    assert told == [ClockBounds(10 * S, 12 * S)]


async def test_a_stock_transport_tells_the_same() -> None:
    told: list[ClockBounds] = []

    def handle(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=STATUS, headers={"date": formatdate(1_700_000_010, usegmt=True)})

    reader = VenueReader("http://venue.test", httpx.MockTransport(handle), None, ManualClock(now_ns=NOW_NS))
    reader.watch_clock(told.append)
    await reader.exchange_status()
    assert told == [ClockBounds(10 * S, 12 * S)]


def test_the_simulated_venue_writes_its_own_clock_and_a_wrong_one_when_told() -> None:
    header = DateHeader()
    name, text = header.line(NOW_NS + S - 1)
    assert (name, text) == (b"date", formatdate(1_700_000_000, usegmt=True).encode())
    header.offset_ns = -10 * S
    assert header.line(NOW_NS)[1] == formatdate(1_699_999_990, usegmt=True).encode()

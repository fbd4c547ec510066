"""Log lines of the order path carry the names and fields that the requirement rows say.

Driven by the real executor on a real bus against the simulated exchange: what is compared is
what it told, not what a builder would tell.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest

from libs.common.domain.side import Side
from libs.common.runtime.log import EventLog
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.executor_builders import a_quote
from tests.support.executor_world import World, executor_world
from tests.support.shared import shared_dir

ROWS: Final = {
    "BATCH_CANCEL": (
        "B-042",
        "decision_id batch_number total_batches batch_size total_to_cancel order_ids",
    ),
    "BATCH_CANCEL_FAILED": ("B-043", "decision_id order_id market error_msg batch_number"),
    "BATCH_CANCEL_SUMMARY": ("B-044", "decision_id total_succeeded total_failed total_requested"),
    "BATCH_PLACE": (
        "B-045",
        "decision_id batch_number total_batches batch_size total_to_place orders",
    ),
    "ORDER_PLACED": (
        "B-046",
        "decision_id order_id market side price size client_order_id batch_number",
    ),
    "BATCH_PLACE_FAILED": (
        "B-047",
        "decision_id market side price size client_order_id error_msg batch_number",
    ),
    "BATCH_PLACE_SUMMARY": ("B-048", "decision_id total_succeeded total_failed total_requested"),
    "RATE_LIMIT": ("B-049", "consecutive_hits backoff_seconds endpoint"),
    "RATE_LIMIT_BACKOFF": ("B-050", "consecutive_hits backoff_seconds endpoint"),
    "ORDER_PLACE": ("C-034", "market decision_id side price size"),
    "ORDER_CANCEL": ("C-035", "market order_id"),
    "ORDER_RESULT": ("C-036", "status order_id latency_ms error_msg"),
}
"""Event to its row and the fields it must have; more are welcome, they help to find things."""
BID, ASK = a_quote(Side.BID, 5_900, 500), a_quote(Side.ASK, 6_300, 1_250)


class Recorder(EventLog):
    """A log that keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def event(self, event_type: str, message: str = "", **fields: Any) -> None:
        self.lines.append((event_type, {k: v for k, v in fields.items() if k not in ("level", "error")}))

    def of(self, event_type: str) -> list[dict[str, Any]]:
        """Return the fields of every line of a type."""
        return [fields for name, fields in self.lines if name == event_type]


@pytest.fixture
async def world(streams_url: str, connect: Connect, tmp_path: Path) -> AsyncIterator[World]:
    async with executor_world(streams_url, connect, tmp_path) as made:
        yield made


async def test_every_line_of_the_order_path_has_the_fields_of_its_row(world: World) -> None:
    await world.resume()
    executor = await world.start()
    log = Recorder()
    executor.app._performer._log = log

    # A batch that goes well, one that the venue refuses for its rate, a cancel that fails once.
    await world.target(BID, ASK)
    await world.until_resting(2)
    await world.exchange.sim("faults", {"kind": "error_before", "match": "DELETE", "count": 1, "status": 503})
    await world.target()
    await world.until_resting(0, timeout_s=15)
    await world.exchange.sim("faults", {"kind": "rate_limit", "match": "POST", "count": 2})
    await world.target(BID)
    await eventually(lambda: len(log.of("RATE_LIMIT")) == 2, 10)
    await world.until_resting(1, timeout_s=15)
    await eventually(lambda: len(log.of("BATCH_PLACE_SUMMARY")) >= 4)

    for name, (row, fields) in ROWS.items():
        told = log.of(name)
        assert told, f"{row}: no line {name}"
        for line in told:
            assert set(fields.split()) <= line.keys(), f"{row} {name}: {line}"
    first = log.of("BATCH_PLACE")[0]
    assert first["orders"] == [
        {"market": world.market, "side": "bid", "price": "0.5900", "size": "5.00"},
        {"market": world.market, "side": "ask", "price": "0.6300", "size": "12.50"},
    ]
    assert re.fullmatch(r".+:BATCH_PLACE:\d+", first["decision_id"])  # B-041
    assert re.fullmatch(r".+:BATCH_CANCEL:\d+", log.of("BATCH_CANCEL")[0]["decision_id"])
    placed = log.of("ORDER_PLACED")[0]
    assert (placed["price"], placed["size"]) == ("0.5900", "5.00")
    assert placed["order_id"]
    limited = log.of("RATE_LIMIT")
    assert [line["consecutive_hits"] for line in limited] == [1, 2]
    assert 0 < limited[0]["backoff_seconds"] < limited[1]["backoff_seconds"]
    assert log.of("BATCH_CANCEL_FAILED")[0]["error_class"] in ("unknown", "refused")
    order = [name for name, _ in log.lines if name in ("ORDER_PLACE", "BATCH_PLACE", "ORDER_PLACED")]
    assert order[:3] == ["ORDER_PLACE", "ORDER_PLACE", "BATCH_PLACE"], "told before it is sent"


@pytest.mark.skipif(
    not (shared_dir() / "requirements.md").is_file(), reason="no requirements: set DORA_SHARED_DIR"
)
def test_the_rows_are_the_requirements_own() -> None:
    text = (shared_dir() / "requirements.md").read_text(encoding="utf-8")
    for name, (row, fields) in ROWS.items():
        line = re.search(rf"^\| {row} \| event {name} \| ([^|]*)\|", text, re.MULTILINE)
        assert line is not None, row
        named = set(re.findall(r"[a-z]+(?:_[a-z]+)+|market|side|price|size|status|orders", line[1]))
        missing = named - set(fields.split())
        if "orders" in fields.split():
            missing -= {"market", "side", "price", "size"}  # of each order
        assert not missing, f"{row} names {missing}"

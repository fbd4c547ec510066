from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from services.simexchange.core.tape import (
    TapeDelta,
    TapeMalformed,
    TapeSnapshot,
    TapeTrade,
    read_tape,
)
from services.simexchange.shell.tape_files import find_tapes
from tests.support import recording
from tests.support.recording import line
from tests.support.shared import requires_shared, shared_dir


def delta(price: str, change: str, side: str = "yes", ts_ms: int = 100) -> bytes:
    return recording.delta(price, change, side, ts_ms)


def trade(yes_price: str, count: str, taker: str, ts_ms: int = 100) -> bytes:
    return recording.trade(yes_price, count, taker, ts_ms)


def test_no_levels_become_asks_at_the_yes_price() -> None:
    events = list(
        read_tape(
            [
                line(
                    "orderbook_snapshot",
                    yes_dollars_fp=[["0.4600", "1.50"]],
                    no_dollars_fp=[["0.5200", "2.00"]],
                ),
                delta("0.5200", "-2.00", side="no"),
            ]
        )
    )
    assert events == [
        TapeSnapshot(100, ((4_600, 150),), ((4_800, 200),)),
        TapeDelta(100, Side.ASK, 4_800, -200),
    ]


def test_a_trade_comes_before_the_level_change_it_caused() -> None:
    events = list(
        read_tape(
            [
                delta("0.4700", "-1.00", ts_ms=99),
                delta("0.4600", "5.00"),
                delta("0.4600", "-3.00"),
                delta("0.4500", "-1.00"),
                trade("0.4600", "3.00", "no"),
            ]
        )
    )
    kinds = [type(e).__name__ for e in events]
    assert kinds == ["TapeDelta", "TapeDelta", "TapeTrade", "TapeDelta", "TapeDelta"]


def test_a_trade_recorded_first_stays_where_it_was() -> None:
    events = list(read_tape([trade("0.4600", "3.00", "no"), delta("0.4600", "-3.00")]))
    assert [type(e) for e in events] == [TapeTrade, TapeDelta]


def test_time_never_falls() -> None:
    events = list(read_tape([delta("0.1000", "1.00", ts_ms=100), delta("0.1000", "1.00", ts_ms=90)]))
    assert [e.tape_ms for e in events] == [100, 100]


@pytest.mark.parametrize("bad", [b"{", b"[]", line("surprise"), delta("0.1", "x"), delta("1.5", "1.00")])
def test_a_malformed_line_names_the_tape_and_the_line(bad: bytes) -> None:
    with pytest.raises(TapeMalformed, match="gold, line 2"):
        list(read_tape([delta("0.1000", "1.00"), bad], "gold"))


@requires_shared
def test_the_densest_recording_loses_nothing_and_attributes_every_trade() -> None:
    folder = shared_dir() / "data/kalshi-gold15m/events/KXGOLD15M-26AUG102130-30"
    (tape,) = find_tapes(folder)
    counts = {TapeSnapshot: 0, TapeDelta: 0, TapeTrade: 0}
    waiting: dict[tuple[Side, int], int] = {}
    last_ms = 0
    for event in tape.events():
        counts[type(event)] += 1
        assert event.tape_ms >= last_ms
        last_ms = event.tape_ms
        if isinstance(event, TapeTrade):
            key = (event.taker_side.opposite, event.price_e4)
            waiting[key] = waiting.get(key, 0) + event.qty_e2
        elif isinstance(event, TapeDelta) and event.change_e2 < 0:
            key = (event.side, event.price_e4)
            waiting[key] = max(0, waiting.get(key, 0) + event.change_e2)
    assert counts == {TapeSnapshot: 4, TapeDelta: 196_008, TapeTrade: 1_884}
    assert not any(waiting.values())

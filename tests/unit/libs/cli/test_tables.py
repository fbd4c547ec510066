"""The audit tables as projections: the requirement's keys, and numbers that can be followed by hand."""

from __future__ import annotations

from typing import Any

from libs.cli.reconcile import lines
from libs.cli.tables import Stored, kill_switch_events, orphaned_orders, trade_audits
from libs.common.domain.side import Side
from libs.common.messages.control import HaltV1, ResumeV1
from libs.common.messages.execution import FillV1, OrderState
from libs.common.messages.risk import DriftV1, OrphanedOrderV1, OrphanV1, ReconResultV1
from libs.common.messages.target import TargetV1
from tests.support.truth_builders import fill_event, order_event, venue_fill

D_143 = "id user_id position_id action timestamp order_details game_state market_data risk_metrics created_at"
D_144 = "id user_id trigger_type triggered_at positions_closed total_pnl resolved_at resolution_notes"
D_145 = "id user_id ticker order_id side size price detected_at resolved resolution_action"


def at(second: int, day: int = 1) -> str:
    return f"2026-11-{day:02d}T10:00:{second:02d}.000000+00:00"


def orphan(**changes: Any) -> OrphanedOrderV1:
    fields: dict[str, Any] = {
        "id": "o1",
        "user_id": "",
        "account": "main",
        "ticker": "KX-1",
        "order_id": "o1",
        "side": "bid",
        "size_e2": 550,
        "price_e4": 1_200,
        "detected_ms": 1_000,
        "is_ours": False,
    }
    return OrphanedOrderV1(**(fields | changes))


def fill(
    after_e2: int, qty_e2: int = 100, side: Side = Side.BID, pnl_e6: int = 0, trade: str = "t"
) -> FillV1:
    return fill_event(
        venue_fill(trade, qty_e2=qty_e2, side=side), position_after_e2=after_e2, pnl_delta_e6=pnl_e6
    )


def test_an_orphans_newest_row_holds() -> None:
    done = orphan(resolved=True, resolution_action="MANUAL_CLOSE", user_id="ada", resolved_ms=2_000)
    other = orphan(id="o0", order_id="", detected_ms=500)
    rows = orphaned_orders([orphan(), other, done])
    assert [row["id"] for row in rows] == ["o0", "o1"]
    first, second = rows
    assert set(D_145.split()) <= set(first)
    assert (first["order_id"], first["user_id"], first["resolved_at"]) == (None, None, None)
    assert (second["size"], second["price"], second["side"]) == ("5.50", "0.1200", "bid")
    assert (second["resolved"], second["resolution_action"], second["user_id"]) == (
        True,
        "MANUAL_CLOSE",
        "ada",
    )
    assert second["detected_at"] == "1970-01-01T00:00:01.000+00:00"


def test_a_halt_is_lifted_by_the_first_resume_that_names_it_or_a_newer_one() -> None:
    control = [
        Stored(1, at(1), HaltV1(reason="loss", trigger="daily_loss", by="riskguard")),
        Stored(2, at(5), HaltV1(reason="hand", by="ada")),
        Stored(3, at(9), resume(1)),
        Stored(4, at(20), resume(2)),
        Stored(5, at(30), HaltV1(reason="again", by="ada")),
    ]
    fills = [
        Stored(1, at(0), fill(100, pnl_e6=-5_000)),
        Stored(2, at(6), fill(0, side=Side.ASK, pnl_e6=20_000)),
        Stored(3, at(40), fill(0, side=Side.ASK)),
    ]
    first, second, third = kill_switch_events(control, fills)
    assert set(D_144.split()) <= set(first)
    assert (first["id"], first["trigger_type"], first["user_id"]) == (1, "daily_loss", "riskguard")
    assert (first["triggered_at"], first["resolved_at"]) == (at(1), at(9))
    assert first["resolution_notes"] == "looked at (by ada)"
    assert (first["positions_closed"], first["total_pnl"]) == (1, "-0.005000")
    assert (second["resolved_at"], second["positions_closed"]) == (at(20), 1)
    assert (third["resolved_at"], third["resolution_notes"], third["total_pnl"]) == (None, None, "0.015000")
    assert third["positions_closed"] == 1


def test_fills_enter_and_exit_and_cancels_are_rows_too() -> None:
    records = [
        Stored(1, at(1), fill(100, trade="a", pnl_e6=-1_000)),
        Stored(2, at(2), fill(250, 150, trade="b")),
        Stored(3, at(3), fill(50, 200, Side.ASK, 7_000, trade="c")),
        Stored(4, at(4), fill(-50, 100, Side.ASK, trade="d")),
        Stored(5, at(5), order_event(9, state=OrderState.CANCELLED, reason="halt")),
        Stored(6, at(6), order_event(9, state=OrderState.RESTING)),
        Stored(7, at(7, day=2), fill(-150, 100, Side.ASK, trade="e")),
    ]
    rows = trade_audits(records, {})
    assert [row["action"] for row in rows] == ["ENTRY", "ENTRY", "EXIT", "EXIT", "CANCEL", "ENTRY"]
    assert all(set(D_143.split()) == set(row) for row in rows)
    assert [row["risk_metrics"]["daily_pnl_before"] for row in rows[:4]] == [
        "0.000000",
        "-0.001000",
        "-0.001000",
        "0.006000",
    ]
    assert rows[-1]["risk_metrics"]["daily_pnl_before"] == "0.000000", "another day"
    assert [row["risk_metrics"]["open_positions"] for row in rows[:2]] == [0, 1]
    assert rows[4]["order_details"]["reason"] == "halt"
    assert rows[0]["order_details"]["trade_id"] == "a"
    assert rows[0]["market_data"] == {"ticker": "KXTEST-26NOV21-A"}


def test_a_row_tells_what_the_decision_saw() -> None:
    target = TargetV1(
        market="KXTEST-26NOV21-A",
        event="E",
        strategy="dora-maker/1/ab12cd34",
        decision_id="d",
        config_revision=0,
        book_producer="p",
        book_sequence=7,
        book_venue_ms=1_000,
        book_as_of_ms=1_000,
        position_epoch=1,
        position_sequence=1,
        quotes=(),
        silences=(),
        stages=(),
        fair_e4=4_123.5,
        expires_ms=2_000,
        origin_mono_ns=0,
    )
    (row,) = trade_audits([Stored(1, at(1), fill(100))], {"d": target})
    assert row["market_data"]["fair"] == "0.412350"
    assert (row["market_data"]["book_sequence"], row["market_data"]["strategy"]) == (
        7,
        "dora-maker/1/ab12cd34",
    )


def test_a_result_is_told_with_the_four_fields_first() -> None:
    drift = DriftV1(
        kind="fill",
        market="KX-1",
        key="t/o",
        executor_says="absent",
        drop_copy_says="bid 100@4000 fee 0",
        listing_says="bid 100@4000 fee 0",
        odd_one_out="executor",
        action="halt",
    )
    result = ReconResultV1(
        account="main",
        cycle=3,
        epoch=2,
        reason="request",
        orphaned_detected=1,
        ghost_detected=2,
        reconciled=4,
        errors=("the balance was not told",),
        drifts=(drift,),
        position_residual_e2=150,
        cash_residual_e6=-100,
        took_ms=12,
        as_of_ns=0,
        orphans=(OrphanV1(ticker="KX-2", side="bid", size_e2=100, avg_price_e4=1_200, order_id="o7"),),
    )
    told = list(lines(result))
    assert told[:4] == ["orphaned_detected: 1", "ghost_detected: 2", "reconciled: 4", "errors: 1"]
    text = "\n".join(told)
    for words in ("unexplained contracts: 1.50", "unexplained dollars: -0.000100", "alone: executor", "o7"):
        assert words in text


def resume(halt_sequence: int) -> ResumeV1:
    return ResumeV1(halt_sequence=halt_sequence, nonce="n", reason="looked at", by="ada", expires_ms=0)

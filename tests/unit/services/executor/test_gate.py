"""The gate is closed until everything is proven, and closes when a proof grows old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from libs.common.control.latch import Halted, LatchState
from libs.common.messages.control import GateState, HaltV1, PermitV1, ScopeKind
from libs.common.messages.market import MarketState
from services.executor.core.gate import Gate, GateLimits
from tests.support.executor_builders import CLEAR, MARKET, START_MS, START_NS, Desk, a_desk, a_top

S = 1_000_000_000


def reasons(desk: Desk, *, after_s: float = 0, echo_age_ns: int = 0) -> list[str]:
    return desk.engine.account.gate.account_reasons(desk.now.ns + int(after_s * S), echo_age_ns)


@pytest.mark.parametrize("exits_open", [True, False])
def test_closed_permit_lets_exits_pass_only_where_it_says_so(exits_open: bool) -> None:
    desk = a_desk()
    gate = desk.engine.account.gate
    permit = PermitV1(
        issuer="risk",
        boot="c",
        counter=1,
        account="main",
        is_open=False,
        reasons=("halted",),
        epoch=1,
        exits_open=exits_open,
    )
    gate.on_permit("risk", permit, desk.now.ns)
    assert reasons(desk) == ["permit_risk_closed: halted"]
    assert (gate.exit_reasons(desk.now.ns, 0) == []) is exits_open
    late_ns = desk.now.ns + 3 * S
    assert "permit_risk_old" in gate.exit_reasons(late_ns, 0)


def test_new_gate_is_closed_for_everything_that_is_missing() -> None:
    gate = Gate("main", GateLimits())
    assert gate.account_reasons(START_NS, 0) == [
        "control_unread",
        "halt_local: local latch not read",
        "recovering",
        "no_epoch",
        "venue_unheard",
        "permit_risk_missing",
        "permit_recon_missing",
    ]
    assert gate.market_reasons(MARKET, START_MS) == ["no_book"]


def test_gate_with_every_proof_is_open() -> None:
    desk = a_desk()
    assert reasons(desk) == []
    assert desk.engine.account.gate.state(desk.now.ns, 0) is GateState.RUNNING


@pytest.mark.parametrize(
    ("after_s", "echo_age_ns", "reason"),
    [
        (2.1, 0, "permit_risk_old"),
        (2.1, 0, "permit_recon_old"),
        (3.0, 0, "epoch_not_renewed"),
        (0.0, 1_500_000_001, "echo_old"),
    ],
)
def test_old_proof_closes_the_gate(after_s: float, echo_age_ns: int, reason: str) -> None:
    assert reason in reasons(a_desk(), after_s=after_s, echo_age_ns=echo_age_ns)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda gate: setattr(gate, "is_fence_lost", True), "fence_lost"),
        (lambda gate: setattr(gate, "is_stopping", True), "stopping"),
        (lambda gate: setattr(gate, "is_recovered", False), "recovering"),
        (lambda gate: setattr(gate, "is_killing", True), "kill_under_way"),
        (lambda gate: setattr(gate, "renewed_ns", None), "no_epoch"),
        (lambda gate: setattr(gate, "file_reason", "x"), "halt_local: x"),
        (lambda gate: setattr(gate, "latch", None), "control_unread"),
        (lambda gate: setattr(gate, "loop_lag_ns", S), "loop_late"),
    ],
)
def test_each_condition_alone_closes_the_gate(spoil: Callable[[Gate], None], reason: str) -> None:
    desk = a_desk()
    spoil(desk.engine.account.gate)
    assert reasons(desk) == [reason]


def test_replayed_permit_does_not_renew() -> None:
    desk = a_desk()
    gate = desk.engine.account.gate
    old = PermitV1(issuer="risk", boot="b", counter=desk.counter, account="main", is_open=True)
    assert not gate.on_permit("risk", old, desk.now.ns + 5 * S)
    assert "permit_risk_old" in reasons(desk, after_s=5)


def test_permit_of_a_new_boot_counts_from_the_start_again() -> None:
    desk = a_desk()
    fresh = PermitV1(issuer="risk", boot="c", counter=1, account="main", is_open=True)
    assert desk.engine.account.gate.on_permit("risk", fresh, desk.now.ns)


def test_permit_for_another_account_is_dropped() -> None:
    desk = a_desk()
    other = PermitV1(issuer="risk", boot="b", counter=99, account="other", is_open=True)
    assert not desk.engine.account.gate.on_permit("risk", other, desk.now.ns)


def test_closed_permit_closes_the_gate_with_its_reasons() -> None:
    desk = a_desk()
    closed = PermitV1(
        issuer="risk", boot="b", counter=99, account="main", is_open=False, reasons=("day_loss",)
    )
    desk.engine.account.gate.on_permit("risk", closed, desk.now.ns)
    assert reasons(desk) == ["permit_risk_closed: day_loss"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_stale": True}, "book_stale"),
        ({"as_of_ms": START_MS - 2_001}, "book_stale"),
        ({"as_of_ms": START_MS + 2_001}, "book_from_the_future"),
        ({"state": MarketState.INACTIVE}, "market_not_active"),
        ({"trading_active": False}, "trading_paused"),
        ({"close_ms": START_MS}, "market_closed"),
    ],
)
def test_market_that_is_not_fresh_and_active_is_closed(changes: dict[str, Any], reason: str) -> None:
    desk = a_desk()
    desk.engine.on_top(a_top(**changes), desk.now)
    assert desk.engine.account.gate.market_reasons(MARKET, START_MS) == [reason]


def test_scoped_halt_closes_its_market_and_no_other() -> None:
    desk = a_desk()
    halt = HaltV1(reason="odd", scope=ScopeKind.MARKET, scope_key=MARKET)
    desk.engine.account.gate.latch = replace(CLEAR, halts=(Halted(7, "operator", halt),))
    desk.engine.on_top(a_top("M-2"), desk.now)
    assert desk.engine.account.gate.market_reasons(MARKET, START_MS) == ["halt_scoped: operator: odd"]
    assert desk.engine.account.gate.market_reasons("M-2", START_MS) == []
    assert reasons(desk) == []


@pytest.mark.parametrize(
    ("key", "strategy", "is_closed"),
    [
        ("maker", "maker", True),
        ("maker", "maker/1/ab12cd34", True),
        ("maker/1", "maker/1/ab12cd34", True),
        ("maker", "maker-two/1/ab12cd34", False),
        ("maker/2", "maker/1/ab12cd34", False),
        ("maker", None, True),
        ("maker", "", True),
    ],
)
def test_halted_strategy_closes_its_own_quotes_and_those_nobody_can_name(
    key: str, strategy: str | None, *, is_closed: bool
) -> None:
    gate = a_desk().engine.account.gate
    halt = HaltV1(reason="odd", scope=ScopeKind.STRATEGY, scope_key=key)
    gate.latch = replace(CLEAR, halts=(Halted(7, "operator", halt),))
    expected = ["halt_scoped: operator: odd"] if is_closed else []
    assert gate.market_reasons(MARKET, START_MS, strategy=strategy) == expected


def latched(level: GateState) -> LatchState:
    return LatchState(True, 7, 0, level, "odd", "operator", (Halted(7, "operator", HaltV1(reason="odd")),))


@pytest.mark.parametrize(
    ("level", "exits_pass"),
    [(GateState.REDUCE_ONLY, True), (GateState.CANCEL_ONLY, False), (GateState.HALTED, False)],
)
def test_only_a_halt_that_says_reduce_only_lets_an_exit_pass(level: GateState, *, exits_pass: bool) -> None:
    desk = a_desk()
    gate = desk.engine.account.gate
    gate.latch, gate.file_reason, gate.file_level = latched(level), "odd", level
    assert reasons(desk) == ["halt_latched: operator: odd", "halt_local: odd"]
    assert (gate.exit_reasons(desk.now.ns, 0) == []) is exits_pass
    assert gate.state(desk.now.ns, 0) is level
    scoped = HaltV1(reason="odd", level=level, scope=ScopeKind.MARKET, scope_key=MARKET)
    gate.latch = replace(CLEAR, halts=(Halted(8, "operator", scoped),))
    assert gate.market_reasons(MARKET, START_MS) == ["halt_scoped: operator: odd"]
    assert (gate.market_reasons(MARKET, START_MS, exit=True) == []) is exits_pass


def test_local_file_of_unknown_strength_stops_exits_too() -> None:
    desk = a_desk()
    gate = desk.engine.account.gate
    gate.latch, gate.file_reason = latched(GateState.REDUCE_ONLY), "local latch file unreadable"
    assert gate.exit_reasons(desk.now.ns, 0) == ["halt_local: local latch file unreadable"]


def test_exit_needs_every_proof_that_an_order_needs() -> None:
    desk = a_desk()
    later_ns = desk.now.ns + 3 * S
    gate = desk.engine.account.gate
    assert gate.exit_reasons(later_ns, 2 * S) == gate.account_reasons(later_ns, 2 * S) != []


def test_permit_of_somebody_who_has_not_seen_our_epoch_is_no_permit() -> None:
    desk = a_desk()
    desk.engine.began_epoch(2)
    old = PermitV1(issuer="r", boot="b", counter=50, account="main", is_open=True, epoch=1)
    for issuer in ("risk", "recon"):
        desk.engine.account.gate.on_permit(issuer, old, desk.now.ns)
    assert reasons(desk) == ["permit_risk_other_epoch", "permit_recon_other_epoch"]
    for issuer in ("risk", "recon"):
        desk.engine.account.gate.on_permit(issuer, replace_permit(old), desk.now.ns)
    assert reasons(desk) == []


def replace_permit(old: PermitV1) -> PermitV1:
    return msgspec.structs.replace(old, counter=old.counter + 1, epoch=2)


def a_permit(desk: Desk, *, sent_ms: int, counter: int = 1) -> None:
    """Let risk's permit arrive now, sent by its issuer's clock at that time."""
    permit = PermitV1(
        issuer="risk", boot="c", counter=counter, account="main", is_open=True, epoch=1, sent_ms=sent_ms
    )
    assert desk.engine.account.gate.on_permit("risk", permit, desk.now.ns, desk.now.ms)


@pytest.mark.parametrize(
    ("late_ms", "reason"),
    [
        (2_000, ""),
        (2_001, "permit_risk_old"),
        (-2_000, ""),
        (-2_001, "permit_risk_from_the_future"),
    ],
)
def test_permit_is_as_old_as_its_issuer_says_where_that_is_older_than_its_arrival(
    late_ms: int, reason: str
) -> None:
    desk = a_desk()
    a_permit(desk, sent_ms=desk.now.ms - late_ms)
    assert reasons(desk) == ([reason] if reason else [])


def test_permit_sent_in_our_future_lasts_no_longer_than_from_its_arrival() -> None:
    desk = a_desk()
    a_permit(desk, sent_ms=desk.now.ms + 1_500)
    assert "permit_risk_old" not in reasons(desk, after_s=2.0)
    assert "permit_risk_old" in reasons(desk, after_s=2.001)


def test_next_permit_of_a_clock_that_was_set_right_opens_again() -> None:
    desk = a_desk()
    a_permit(desk, sent_ms=desk.now.ms - 60_000)
    assert reasons(desk) == ["permit_risk_old"]
    a_permit(desk, sent_ms=desk.now.ms, counter=2)
    assert reasons(desk) == []

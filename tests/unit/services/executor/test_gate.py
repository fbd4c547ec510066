"""The gate is closed until everything is proven, and closes when a proof grows old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from libs.common.control.latch import Halted
from libs.common.messages.control import GateState, HaltV1, PermitV1, ScopeKind
from libs.common.messages.market import MarketState
from services.executor.core.gate import Gate, GateLimits
from tests.support.executor_builders import CLEAR, MARKET, START_MS, START_NS, Desk, a_desk, a_top

S = 1_000_000_000


def reasons(desk: Desk, *, after_s: float = 0, echo_age_ns: int = 0) -> list[str]:
    return desk.engine.account.gate.account_reasons(desk.now.ns + int(after_s * S), echo_age_ns)


def test_new_gate_is_closed_for_everything_that_is_missing() -> None:
    gate = Gate("main", GateLimits())
    assert gate.account_reasons(START_NS, 0) == [
        "control_unread",
        "halt_local: local latch not read",
        "recovering",
        "no_epoch",
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


def test_halted_strategy_closes_every_market_because_nobody_here_knows_whose_a_quote_is() -> None:
    desk = a_desk()
    halt = HaltV1(reason="odd", scope=ScopeKind.STRATEGY, scope_key="maker")
    desk.engine.account.gate.latch = replace(CLEAR, halts=(Halted(7, "operator", halt),))
    assert desk.engine.account.gate.market_reasons(MARKET, START_MS) == ["halt_scoped: operator: odd"]


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

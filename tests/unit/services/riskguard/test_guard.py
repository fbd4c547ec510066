"""Latches and permit: what the core decides."""

from __future__ import annotations

import pytest

from libs.common.kalshi.model import OwnFill
from libs.common.messages.control import GateState, HaltV1, PermitV1
from libs.common.runtime.latch_file import UNSTORED, LatchWord
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.latches import WriteLatch
from services.riskguard.core.limits import Limits
from tests.support import guards
from tests.support.guards import RESUME, guard, halts
from tests.support.resumes import a_resume
from tests.support.riskguard_limits import limits
from tests.support.truth_builders import NOW_MS, S, venue_fill

ABSENT = LatchWord(is_halted=True, halt_sequence=0, reason="no local latch file")
LIMITS = limits(daily_loss_e6=10**9, drawdown_e6=10**9, position_e2=1_000, orders_per_minute=100)


def running_guard(limits: Limits = LIMITS) -> RiskguardCore:
    return guards.running_guard(limits)


def test_the_permit_opens_when_everything_is_known_and_good() -> None:
    assert running_guard().permit(0) == (True, ())


def test_silence_of_anything_closes_the_permit() -> None:
    core = running_guard()
    is_open, reasons = core.permit(11 * S)
    assert not is_open
    core.on_tick(11 * S, NOW_MS)
    _, reasons = core.permit(11 * S)
    for word in ("account was read", "feed is silent", "executor is silent", "reconciler's permit"):
        assert any(word in reason for reason in reasons), word


def test_silence_latches_nothing() -> None:
    core = running_guard()
    assert halts(core.on_tick(60 * S, NOW_MS)) == []
    assert not core.latches.state().is_halted


def test_trading_disabled_keeps_the_permit_closed() -> None:
    core = running_guard(
        Limits(
            trading_enabled=False,
            **{n: getattr(LIMITS, n) for n in LIMITS.__struct_fields__ if n != "trading_enabled"},
        )
    )
    assert core.permit(0) == (False, ("trading_enabled is false",))


@pytest.mark.parametrize(
    ("level", "is_exits"),
    [(GateState.REDUCE_ONLY, True), (GateState.CANCEL_ONLY, False), (GateState.HALTED, False)],
)
def test_a_halt_closes_the_permit_and_at_reduce_only_not_for_exits(level: GateState, is_exits: bool) -> None:
    core = running_guard()
    core.on_manual_halt(HaltV1(reason="wind down", by="me", level=level), 1)
    assert not core.permit(1)[0]
    assert core.exits_open(1) is is_exits
    assert not core.exits_open(60 * S), "what pauses trading pauses exits too"


def test_a_passed_limit_halts_at_once_and_once() -> None:
    core = running_guard()
    core.on_feed(OwnFill(venue_fill(qty_e2=1_001)), 1)
    (halt,) = halts(core.on_tick(1, NOW_MS))
    assert halt.halt.trigger == "position_limit"
    assert core.latches.state().is_halted
    assert not core.permit(1)[0]
    assert halts(core.on_tick(2, NOW_MS)) == []


def test_a_resume_does_not_outrun_its_cause() -> None:
    core = running_guard()
    core.on_feed(OwnFill(venue_fill(qty_e2=1_001)), 1)
    (halt,) = halts(core.on_tick(1, NOW_MS))
    core.on_halt_stored(halt, 3)
    core.on_resume(4, a_resume(3, at_ms=NOW_MS), NOW_MS, NOW_MS)
    assert not core.latches.state().is_halted
    (again,) = halts(core.on_tick(4 * S, NOW_MS))
    assert again.msg_id != halt.msg_id


def test_a_halt_that_was_only_heard_is_stored_in_our_name_and_never_shows_a_gap() -> None:
    core = running_guard()
    core.on_heard("operator", HaltV1(reason="stop"))
    assert core.latches.state().is_halted
    assert halts(core.on_tick(1, NOW_MS)) == []
    (halt,) = halts(core.on_tick(3 * S, NOW_MS))
    assert halt.stands_for == "operator"
    core.on_halt_stored(halt, 3)
    state = core.latches.state()
    assert state.is_halted
    assert state.halt_sequence == 3
    assert not core.latches.fold.heard


def test_an_unread_control_stream_is_halted() -> None:
    core = running_guard()
    core.on_control_unreadable("no leader")
    assert not core.permit(0)[0]
    core.on_control_readable()
    assert core.permit(0)[0]


def test_the_file_remembers_what_the_stream_forgot() -> None:
    for word in (ABSENT, LatchWord(is_halted=True, halt_sequence=9, reason="fat finger")):
        core = guard(word)
        core.on_halt(1, "init", HaltV1(reason="born halted"))
        core.on_resume(2, RESUME, NOW_MS, NOW_MS)
        (halt,) = halts(core.on_control_readable())
        assert word.reason in halt.halt.reason
        assert core.latches.state().is_halted


def test_a_file_whose_halt_was_lifted_while_we_were_away_is_cleared() -> None:
    core = guard(LatchWord(is_halted=True, halt_sequence=1, reason="born halted"))
    core.on_halt(1, "init", HaltV1(reason="born halted"))
    core.on_resume(2, RESUME, NOW_MS, NOW_MS)
    effects = core.on_control_readable()
    assert [e for e in effects if isinstance(e, WriteLatch)] == [
        WriteLatch(is_halted=False, halt_sequence=1, reason="resumed by record 2")
    ]
    assert not halts(effects)


def test_every_halt_is_written_down_before_anything_else() -> None:
    core = running_guard()
    effects = core.on_halt(3, "operator", HaltV1(reason="stop"))
    assert effects[0] == WriteLatch(is_halted=True, halt_sequence=3, reason="stop")


def test_a_replayed_permit_is_void() -> None:
    core = running_guard()
    closed = PermitV1(issuer="r", boot="b", counter=2, account="main", is_open=False, reasons=("drift",))
    core.on_recon_permit(closed, 1)
    core.on_recon_permit(PermitV1(issuer="r", boot="b", counter=1, account="main", is_open=True), 2)
    core.on_tick(3, NOW_MS)
    assert any("drift" in reason for reason in core.permit(3)[1])


def test_a_file_that_cannot_be_read_is_no_leave_to_trade() -> None:
    core = guard(LatchWord(is_halted=True, halt_sequence=UNSTORED, reason="local latch file unreadable"))
    core.on_halt(1, "init", HaltV1(reason="born halted"))
    core.on_resume(2, RESUME, NOW_MS, NOW_MS)
    (halt,) = halts(core.on_control_readable())
    assert "unreadable" in halt.halt.reason
    assert core.latches.state().is_halted


def test_a_halt_of_ours_that_the_stream_refuses_outlives_the_next_reading_of_the_stream() -> None:
    core = running_guard()
    core.on_halt(3, "riskguard", HaltV1(reason="an older one"))
    core.on_resume(4, a_resume(3, at_ms=NOW_MS), NOW_MS, NOW_MS)
    core.on_manual_halt(HaltV1(reason="stop"), 0)
    core.on_halt(3, "riskguard", HaltV1(reason="an older one"))
    core.on_control_readable()
    assert core.latches.state().is_halted


def test_a_halt_heard_while_the_stream_cannot_be_read_is_written_down_at_once() -> None:
    core = running_guard()
    core.on_control_unreadable("no leader")
    effects = core.on_heard("operator", HaltV1(reason="stop"))
    assert WriteLatch(is_halted=True, halt_sequence=UNSTORED, reason="stop") in effects


def test_a_halt_heard_from_another_guard_is_stored_in_our_name_as_well() -> None:
    core = running_guard()
    core.on_heard("riskguard", HaltV1(reason="of a guard that died"))
    core.on_tick(1, NOW_MS)
    (halt,) = halts(core.on_tick(3 * S, NOW_MS))
    assert halt.stands_for == "riskguard"
    core.on_halt_stored(halt, 3)
    assert not core.latches.fold.heard
    assert core.latches.state().is_halted


def test_a_halt_of_ours_on_its_way_is_not_stored_twice() -> None:
    core = running_guard()
    core.on_manual_halt(HaltV1(reason="stop"), 0)
    core.on_tick(1, NOW_MS)
    assert halts(core.on_tick(3 * S, NOW_MS)) == []

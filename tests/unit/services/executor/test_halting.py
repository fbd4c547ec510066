"""Halts with a reach and a level, as the executor's core obeys them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.common.control.latch import Halted, LatchState
from libs.common.messages.control import GateState, HaltV1, ScopeKind
from libs.common.runtime.latch_file import UNSTORED
from services.executor.core.effects import Effect, StartKill, TakeOver, WriteLatch
from services.executor.core.kill_scope import KillScope
from tests.support.executor_builders import CLEAR, MARKET, Desk, a_desk

RESUMED = replace(CLEAR, halt_sequence=9, resume_sequence=10)


def scoped(level: GateState = GateState.HALTED, key: str = MARKET, sequence: int = 7) -> Halted:
    halt = HaltV1(reason="odd", scope=ScopeKind.MARKET, scope_key=key, level=level)
    return Halted(sequence, "operator", halt)


def whole(level: GateState, sequence: int = 7) -> LatchState:
    halted = Halted(sequence, "operator", HaltV1(reason="odd", level=level))
    return LatchState(True, sequence, 0, level, "odd", "operator", (halted,))


def kills(effects: list[Effect]) -> list[KillScope]:
    return [effect.scope for effect in effects if isinstance(effect, StartKill)]


def obey(desk: Desk, state: LatchState) -> list[Effect]:
    return desk.engine.on_latch(state)


def test_narrow_halt_starts_one_ladder_for_its_reach_and_leaves_the_account_running() -> None:
    desk = a_desk()
    state = replace(CLEAR, halts=(scoped(),))
    assert kills(obey(desk, state)) == [KillScope(ScopeKind.MARKET, MARKET)]
    assert kills(obey(desk, state)) == []
    assert desk.engine.halting.is_halted(KillScope(ScopeKind.MARKET, MARKET))
    assert desk.engine.account.gate.account_reasons(desk.now.ns, 0) == []
    assert not desk.engine.halting.is_killed


@pytest.mark.parametrize(
    ("scope", "key", "is_astray"),
    [
        (ScopeKind.MARKET, MARKET, False),
        (ScopeKind.MARKET, f"{MARKET}X", True),
        (ScopeKind.EVENT, "NO-SUCH-EVENT", True),
        (ScopeKind.SERIES, "NOSUCH", True),
        (ScopeKind.SHARD, "0", False),
        (ScopeKind.SHARD, "7", True),
        (ScopeKind.STRATEGY, "nobody", True),
    ],
)
def test_halt_that_reaches_nothing_known_is_told(scope: ScopeKind, key: str, *, is_astray: bool) -> None:
    desk = a_desk()
    halt = HaltV1(reason="odd", scope=scope, scope_key=key)
    obey(desk, replace(CLEAR, halts=(Halted(7, "operator", halt),)))

    assert bool(desk.engine.halting.astray) is is_astray


def test_stored_copy_of_a_heard_narrow_halt_starts_nothing_new() -> None:
    desk = a_desk()
    assert kills(obey(desk, replace(CLEAR, halts=(scoped(sequence=0),))))
    assert kills(obey(desk, replace(CLEAR, halts=(scoped(sequence=7),)))) == []


def test_stronger_halt_of_the_same_reach_starts_another_ladder_and_a_weaker_one_none() -> None:
    desk = a_desk()
    assert kills(obey(desk, replace(CLEAR, halts=(scoped(GateState.REDUCE_ONLY),))))
    both = (scoped(sequence=8), scoped(GateState.REDUCE_ONLY))
    assert kills(obey(desk, replace(CLEAR, halts=both))) == [KillScope(ScopeKind.MARKET, MARKET)]
    weaker = (scoped(GateState.REDUCE_ONLY, sequence=9), *both)
    assert kills(obey(desk, replace(CLEAR, halts=weaker))) == []


def test_resumed_narrow_halt_is_halted_no_more_and_needs_no_new_epoch() -> None:
    desk = a_desk()
    obey(desk, replace(CLEAR, halts=(scoped(),)))
    effects = obey(desk, RESUMED)
    assert not desk.engine.halting.is_halted(KillScope(ScopeKind.MARKET, MARKET))
    assert not any(isinstance(effect, TakeOver) for effect in effects)
    assert kills(obey(desk, replace(RESUMED, halts=(scoped(sequence=11),)))), "the next one is new"


def test_narrow_halt_that_this_process_found_at_its_start_needs_no_ladder() -> None:
    desk = a_desk(is_open=False)
    assert kills(obey(desk, replace(CLEAR, halts=(scoped(),)))) == []
    assert desk.engine.halting.scoped


def test_narrow_halt_is_obeyed_while_the_stream_cannot_be_read() -> None:
    desk = a_desk()
    unreadable = LatchState(True, 1, 0, GateState.HALTED, "no leader", "unreadable", (scoped(sequence=0),))
    assert kills(obey(desk, unreadable)) == [KillScope(ScopeKind.MARKET, MARKET)]


def test_account_at_reduce_only_keeps_its_groups_and_its_epoch() -> None:
    desk = a_desk()
    effects = obey(desk, whole(GateState.REDUCE_ONLY))
    (scope,) = kills(effects)
    assert not scope.is_whole
    assert WriteLatch(True, 7, "odd", GateState.REDUCE_ONLY) in effects
    ladder = desk.engine.start_kill("odd", desk.now, with_cancel_all=True, reach=scope)
    assert (ladder.groups, ladder.with_cancel_all) == ({}, False)
    assert desk.engine.account.groups
    assert not desk.engine.account.gate.is_killing
    assert not any(isinstance(effect, TakeOver) for effect in obey(desk, RESUMED))


def test_account_at_reduce_only_and_then_halted_is_killed_and_needs_a_new_epoch() -> None:
    desk = a_desk()
    obey(desk, whole(GateState.REDUCE_ONLY))
    effects = obey(desk, whole(GateState.HALTED, 8))
    assert kills(effects) == [KillScope()]
    assert WriteLatch(True, 8, "odd", GateState.HALTED) in effects
    assert desk.engine.halting.halts == 1, "one time halted, twice as strongly"
    assert any(isinstance(effect, TakeOver) for effect in obey(desk, RESUMED))


@pytest.mark.parametrize("level", [GateState.REDUCE_ONLY, GateState.HALTED])
def test_level_of_a_halt_that_only_we_heard_survives_in_the_file_until_it_is_stored(level: GateState) -> None:
    desk = a_desk()
    obey(desk, replace(whole(level, 0), halt_sequence=1))
    assert desk.engine.halting.word.halt_sequence == UNSTORED
    obey(desk, CLEAR)
    gate = desk.engine.account.gate
    assert (gate.file_reason, gate.file_level) == ("odd", level)
    desk.engine.halting.on_stored(12)
    assert (desk.engine.halting.word.halt_sequence, desk.engine.halting.word.level) == (12, level)


def test_shard_halt_takes_that_shards_group_out_of_use_and_no_other() -> None:
    desk = a_desk()
    scope = KillScope(ScopeKind.SHARD, "0")
    ladder = desk.engine.start_kill("odd", desk.now, with_cancel_all=True, reach=scope)
    assert list(ladder.walks) == [0]
    assert ladder.groups
    assert desk.engine.account.groups == {}
    other = a_desk()
    away = other.engine.start_kill(
        "odd", other.now, with_cancel_all=True, reach=KillScope(ScopeKind.SHARD, "2")
    )
    assert away.groups == {}
    assert other.engine.account.groups

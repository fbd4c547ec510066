"""Epoch, seal, journal, kill ladder, recovery and halting: each protocol by itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.common.control.latch import Halted, LatchFold, LatchState
from libs.common.domain.ids import parse_client_order_id
from libs.common.domain.side import Side
from libs.common.messages.control import GateState, HaltV1
from libs.common.messages.execution import (
    Action,
    EpochV1,
    IntentItemV1,
    IntentV1,
    OrderGroupV1,
    OrderState,
    ResultItemV1,
    ResultV1,
)
from libs.common.runtime.latch_file import UNSTORED, LatchWord
from services.executor.core.effects import StartKill, TakeOver, WriteLatch
from services.executor.core.epoch import EpochKeeper, EpochPhase, EpochTimes, Seen
from services.executor.core.halting import Halting
from services.executor.core.journal import Draft, JournalFold, JournalWriter
from services.executor.core.recovery import Recovery, RecoveryStep
from services.executor.core.requests import CreateRequest
from services.executor.core.seal import Approved, Seal
from services.executor.core.target_store import TargetStore
from tests.support.executor_builders import CLEAR, GROUP, START_MS, Desk, a_desk, a_target, an_order, told
from tests.support.resumes import a_resume

S = 1_000_000_000
REQUEST = CreateRequest("M", 0, "c", Side.BID, 5_000, 100, "g", START_MS)


# Seal ---------------------------------------------------------------------------------------------


def test_approval_cannot_be_made_outside_the_seal() -> None:
    with pytest.raises(AssertionError):
        Approved(REQUEST, 1, 10, 0, b"mac", object())


@pytest.mark.parametrize(
    "changes",
    [
        {"request": replace(REQUEST, qty_e2=101)},
        {"request": replace(REQUEST, price_e4=5_001)},
        {"epoch": 2},
        {"expires_ns": 999},
    ],
)
def test_mutated_approval_is_refused(changes: dict[str, Any]) -> None:
    seal = Seal(b"k" * 32)
    approved = replace(seal.approve(REQUEST, 1, 10), **changes)
    assert seal.spend(approved, 1, 5) == "seal_broken"


def test_approval_is_good_once_in_its_epoch_and_time_and_process() -> None:
    seal = Seal(b"k" * 32)
    approved = seal.approve(REQUEST, 1, 10)
    assert seal.spend(approved, 2, 5) == "seal_other_epoch"
    assert seal.spend(approved, 1, 11) == "seal_expired"
    assert Seal(b"x" * 32).spend(approved, 1, 5) == "seal_broken"
    assert seal.spend(approved, 1, 5) is None
    assert seal.spend(approved, 1, 5) == "seal_spent"


# Epoch --------------------------------------------------------------------------------------------


def test_new_account_is_claimed_at_once() -> None:
    assert EpochKeeper(EpochTimes()).observe(Seen(0, 0, 0, is_released=False), 0)


def test_released_epoch_is_claimed_at_once() -> None:
    assert EpochKeeper(EpochTimes()).observe(Seen(5, 1, 9, is_released=True), 0)


def test_silent_leader_is_followed_only_after_the_lease_on_our_own_clock() -> None:
    keeper = EpochKeeper(EpochTimes())
    seen = Seen(5, 1, 9, is_released=False)
    assert not keeper.observe(seen, 0)
    assert not keeper.observe(seen, 15 * S - 1)
    assert keeper.observe(seen, 15 * S)


def test_every_renewal_starts_the_wait_anew() -> None:
    keeper = EpochKeeper(EpochTimes())
    keeper.observe(Seen(5, 1, 9, is_released=False), 0)
    assert not keeper.observe(Seen(5, 1, 10, is_released=False), 14 * S)
    assert not keeper.observe(Seen(5, 1, 10, is_released=False), 28 * S)
    assert keeper.observe(Seen(5, 1, 10, is_released=False), 29 * S)


def test_refused_fence_is_for_good() -> None:
    keeper = EpochKeeper(EpochTimes())
    keeper.claimed(1, 10, 0)
    keeper.fence_refused()
    assert keeper.phase is EpochPhase.LOST
    with pytest.raises(AssertionError):
        keeper.claimed(2, 11, 1)


def test_leader_without_renewal_must_cancel_all_after_five_seconds() -> None:
    keeper = EpochKeeper(EpochTimes())
    keeper.claimed(1, 10, 0)
    assert not keeper.must_cancel_all(5 * S - 1)
    assert keeper.must_cancel_all(5 * S)


# Journal ------------------------------------------------------------------------------------------


def an_item(client: str, action: Action = Action.CREATE) -> IntentItemV1:
    return IntentItemV1(
        action=action,
        market="M",
        shard=0,
        client_order_id=client,
        side=Side.BID,
        price_e4=5_000,
        qty_e2=100,
        decision_id="d",
    )


def a_result(client: str, outcome: str) -> ResultV1:
    item = ResultItemV1(client_order_id=client, action=Action.CREATE, outcome=outcome)
    return ResultV1(account="main", epoch=1, batch=1, status=0, latency_us=0, items=(item,))


def test_client_order_id_is_deterministic_and_tells_epoch_and_place() -> None:
    writer = JournalWriter("sim", "main", 7)
    draft = Draft("M", Side.BID, 5_000, 100, "d")
    client = writer.client_order_id(3, 2, draft)
    assert client == writer.client_order_id(3, 2, draft)
    identity = parse_client_order_id(client)
    assert identity is not None
    assert (identity.epoch, identity.batch, identity.index) == (7, 3, 2)
    other = Draft("M", Side.BID, 5_000, 101, "d")
    assert writer.client_order_id(3, 2, other) != client


@pytest.mark.parametrize(
    ("outcome", "is_open"),
    [("accepted", True), ("unknown", True), ("refused", False), ("unsent", False)],
)
def test_intent_is_resolved_only_by_proof_that_nothing_exists(outcome: str, is_open: bool) -> None:
    fold = JournalFold()
    fold.on_intent(IntentV1(account="main", epoch=1, batch=1, items=(an_item("c"),), issued_ns=0))
    assert [one.item.client_order_id for one in fold.unresolved()] == ["c"]
    fold.on_result(a_result("c", outcome))
    assert bool(fold.unresolved()) is is_open


def test_order_in_an_end_state_is_resolved() -> None:
    fold = JournalFold()
    fold.on_intent(IntentV1(account="main", epoch=1, batch=1, items=(an_item("c"),), issued_ns=0))
    fold.on_order(an_order(client_order_id="c", state=OrderState.CANCELLED).message("main", 0))
    assert fold.unresolved() == []


def test_genesis_is_the_first_epoch_and_the_newest_sequence_leads() -> None:
    fold = JournalFold()
    first = EpochV1(
        account="main",
        number=1,
        holder="a",
        run="r",
        build="b",
        config_hash="c",
        started_ns=0,
        genesis_balance_e6=7,
        genesis_ms=1,
    )
    second = EpochV1(account="main", number=2, holder="a", run="r", build="b", config_hash="c", started_ns=0)
    fold.on_epoch(10, first)
    fold.on_epoch(20, second)
    assert (fold.genesis, fold.epoch, fold.epoch_sequence) == (first, second, 20)


# Kill ladder --------------------------------------------------------------------------------------


def test_triggered_groups_leave_the_account_with_the_ladder() -> None:
    desk = a_desk()
    ladder = desk.engine.start_kill("x", desk.now, with_cancel_all=True)
    assert ladder.groups == {GROUP: 0}
    assert desk.engine.account.groups == {}
    assert desk.engine.account.gate.is_killing


# Recovery -----------------------------------------------------------------------------------------


def test_recovery_steps_cannot_be_swapped() -> None:
    recovery = Recovery("sim")
    with pytest.raises(AssertionError):
        recovery.done(RecoveryStep.REBUILD)


def test_recovery_lists_until_several_reads_in_a_row_are_clean() -> None:
    recovery = Recovery("sim", clean_reads=2, step=RecoveryStep.LIST_UNTIL_CLEAN)
    left = told(an_order())
    assert recovery.on_listing([]) == []
    assert len(recovery.on_listing([left])) == 1
    steps = []
    for _ in range(2):
        recovery.on_listing([])
        steps.append(recovery.step)
    assert steps == [RecoveryStep.LIST_UNTIL_CLEAN, RecoveryStep.REBUILD]


def test_recovery_cancels_no_foreign_order_and_none_of_another_environment() -> None:
    recovery = Recovery("sim")
    resting = [
        told(an_order(client_order_id="by-hand", order_id="1")),
        told(an_order(client_order_id="dora-demo-1-1-0-00000000", order_id="2")),
        told(an_order(order_id="3")),
    ]
    assert [cancel.order_id for cancel in recovery.ours(resting)] == ["3"]
    assert recovery.foreign == {"1", "2"}


def test_recovery_triggers_every_old_group_that_still_exists_until_confirmed() -> None:
    recovery = Recovery("sim")
    groups = [a_group(1, "g0", 0), a_group(1, "g1", 1), a_group(1, "g2", 2), a_group(2, "h0", 0)]
    recovery.old_groups(groups, [("h0", 0), ("g0", 0), ("g2", 2), ("somebody", 0)])
    assert set(recovery.to_trigger()) == {("h0", 0), ("g0", 0), ("g2", 2)}
    recovery.on_triggered("g0")
    assert set(recovery.to_trigger()) == {("h0", 0), ("g2", 2)}


def test_recovery_triggers_the_newest_groups_although_the_venue_does_not_list_them_yet() -> None:
    """Reads lag: a group made half a second ago may hold orders, or have some on their way."""
    recovery = Recovery("sim")
    recovery.old_groups([a_group(1, "g0", 0), a_group(2, "h0", 0), a_group(2, "h1", 1)], [])
    assert set(recovery.to_trigger()) == {("h0", 0), ("h1", 1)}


def test_recovery_triggers_every_listed_group_where_a_record_of_one_cannot_be_read() -> None:
    recovery = Recovery("sim")
    recovery.old_groups([a_group(2, "h0", 0)], [("h0", 0), ("unread", 1)], is_all=True)
    assert set(recovery.to_trigger()) == {("h0", 0), ("unread", 1)}


def a_group(epoch: int, order_group_id: str, shard: int) -> OrderGroupV1:
    return OrderGroupV1(account="main", epoch=epoch, shard=shard, order_group_id=order_group_id, limit_e2=1)


# Halting ------------------------------------------------------------------------------------------


def halted(sequence: int = 5, source: str = "operator") -> LatchState:
    halt = HaltV1(reason="stop")
    return LatchState(True, sequence, 0, GateState.HALTED, "stop", source, (Halted(sequence, source, halt),))


def halting(desk: Desk) -> Halting:
    return desk.engine.halting


def test_halt_starts_the_ladder_once_and_is_written_down() -> None:
    desk = a_desk()
    effects = desk.engine.on_latch(halted())
    assert [e for e in effects if isinstance(e, StartKill)] == [StartKill("operator: stop")]
    assert WriteLatch(is_halted=True, halt_sequence=5, reason="stop") in effects
    assert desk.engine.on_latch(halted()) == []


def test_halt_that_was_only_heard_is_written_as_unstored() -> None:
    desk = a_desk()
    desk.engine.on_latch(replace(halted(), halts=(Halted(0, "operator", HaltV1(reason="stop")),)))
    assert halting(desk).word.halt_sequence == UNSTORED


def test_resume_after_a_kill_needs_a_new_epoch_before_anything_runs() -> None:
    desk = a_desk()
    desk.engine.on_latch(halted())
    effects = desk.engine.on_latch(replace(CLEAR, halt_sequence=5, resume_sequence=6))
    assert any(isinstance(effect, TakeOver) for effect in effects)
    assert "recovering" in desk.engine.account.gate.account_reasons(desk.now.ns, 0)


def test_local_halt_without_a_stored_copy_is_not_lifted_by_an_older_resume() -> None:
    desk = a_desk()
    halting(desk).word = LatchWord(True, UNSTORED, "heard before the crash")
    desk.engine.on_latch(CLEAR)
    assert desk.engine.account.gate.halt_reasons() == ["halt_local: heard before the crash"]


def test_unreadable_control_stream_closes_the_gate_but_kills_nothing() -> None:
    desk = a_desk()
    unreadable = LatchState(True, 1, 0, GateState.HALTED, "leader gone", "unreadable")
    assert desk.engine.on_latch(unreadable) == []
    assert desk.engine.account.gate.account_reasons(desk.now.ns, 0) != []
    assert desk.engine.account.gate.state(desk.now.ns, 0) is GateState.CANCEL_ONLY


def test_halt_heard_while_the_control_stream_is_unreadable_kills_and_is_written_down() -> None:
    desk = a_desk()
    latch = LatchFold()
    latch.on_halt(1, "operator", HaltV1(reason="stop"))
    latch.on_resume(2, a_resume(1))
    latch.unreadable("no leader")
    assert desk.engine.on_latch(latch.state()) == []
    latch.on_heard("operator", HaltV1(reason="stop"))
    effects = desk.engine.on_latch(latch.state())
    assert [e for e in effects if isinstance(e, StartKill)] == [StartKill("operator: stop")]
    assert WriteLatch(is_halted=True, halt_sequence=UNSTORED, reason="stop") in effects
    latch.on_halt(1, "operator", HaltV1(reason="stop"))
    latch.readable()
    assert not any(isinstance(e, TakeOver) for e in desk.engine.on_latch(latch.state()))
    assert desk.engine.account.gate.halt_reasons()


def test_second_halt_that_was_only_heard_is_written_down_as_unstored() -> None:
    desk = a_desk()
    desk.engine.on_latch(halted())
    heard = (Halted(0, "operator", HaltV1(reason="again")), *halted().halts)
    effects = desk.engine.on_latch(replace(halted(), halts=heard))
    assert WriteLatch(is_halted=True, halt_sequence=UNSTORED, reason="again") in effects
    assert desk.engine.on_latch(replace(halted(), halts=heard)) == []
    effects = desk.engine.on_latch(replace(halted(7), halts=(*halted(7).halts, *halted().halts)))
    assert halting(desk).word.halt_sequence == 7


# Targets ------------------------------------------------------------------------------------------


def test_target_of_a_newer_marketdata_run_wins_whatever_its_sequence() -> None:
    store = TargetStore()
    assert store.put(a_target(sequence=900), START_MS) is None
    newer = a_target(sequence=1, book_producer="20260101-000001-md")
    assert store.put(newer, START_MS) is None
    assert store.put(a_target(sequence=901), START_MS) is not None
    slot = store.get("M-1", START_MS)
    assert slot is not None
    assert slot.target is newer


def test_a_new_position_on_the_same_book_is_obeyed_and_does_not_count_as_a_tick() -> None:
    store = TargetStore()
    assert store.put(a_target(sequence=5), START_MS) is None
    first = store.get("M-1", START_MS)
    assert store.put(a_target(sequence=5, position_sequence=2), START_MS) is None
    second = store.get("M-1", START_MS)
    assert store.put(a_target(sequence=6, position_sequence=2), START_MS) is None
    third = store.get("M-1", START_MS)

    assert [slot.is_measured for slot in (first, second, third) if slot is not None] == [True, False, True]

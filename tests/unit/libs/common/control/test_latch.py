"""The fold of the control stream, from every arrival order."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from libs.common.control.latch import LatchFold
from libs.common.messages.control import GateState, HaltV1, ResumeV1, ScopeKind
from tests.support.resumes import a_resume


def resume(halt_sequence: int) -> ResumeV1:
    return a_resume(halt_sequence)


def fold(*, is_readable: bool = True) -> LatchFold:
    made = LatchFold()
    if is_readable:
        made.readable()
    return made


def test_no_record_at_all_is_halted() -> None:
    assert fold().state().is_halted


def test_unread_stream_is_halted_even_with_a_valid_resume() -> None:
    latch = fold(is_readable=False)
    latch.on_halt(1, "init", HaltV1(reason="born"))
    latch.on_resume(2, resume(1))
    assert latch.state().is_halted
    latch.readable()
    assert not latch.state().is_halted
    latch.unreadable("leader gone")
    assert latch.state().is_halted


def test_resume_that_names_the_newest_halt_lifts_all_up_to_it() -> None:
    latch = fold()
    latch.on_halt(1, "init", HaltV1(reason="born"))
    latch.on_halt(2, "riskguard", HaltV1(reason="loss"))
    latch.on_resume(3, resume(2))
    assert not latch.state().is_halted
    assert latch.state().resume_sequence == 3


def test_resume_that_names_an_older_halt_lifts_nothing() -> None:
    latch = fold()
    latch.on_halt(1, "init", HaltV1(reason="born"))
    latch.on_halt(2, "riskguard", HaltV1(reason="loss"))
    latch.on_resume(3, resume(1))
    assert latch.state().is_halted
    assert latch.state().reason == "loss"


def test_halt_newer_than_the_resume_halts_again() -> None:
    latch = fold()
    latch.on_halt(1, "init", HaltV1(reason="born"))
    latch.on_resume(2, resume(1))
    latch.on_halt(3, "operator", HaltV1(reason="fat finger"))
    assert latch.state().is_halted
    assert latch.state().halt_sequence == 3


def test_heard_halt_latches_until_its_stored_copy_is_lifted() -> None:
    latch = fold()
    latch.on_halt(1, "init", HaltV1(reason="born"))
    latch.on_resume(2, resume(1))
    latch.on_heard("operator", HaltV1(reason="stop"))
    assert latch.state().is_halted
    latch.on_halt(3, "operator", HaltV1(reason="stop"))
    latch.on_resume(4, resume(3))
    assert not latch.state().is_halted


def test_heard_halt_whose_stored_copy_came_first_leaves_nothing_behind() -> None:
    latch = fold()
    latch.on_halt(3, "operator", HaltV1(reason="stop"))
    latch.on_heard("operator", HaltV1(reason="stop"))
    assert latch.state().is_halted
    latch.on_resume(4, resume(3))
    assert not latch.state().is_halted


def test_same_words_after_a_resume_halt_again() -> None:
    latch = fold()
    latch.on_halt(3, "operator", HaltV1(reason="stop"))
    latch.on_resume(4, resume(3))
    latch.on_heard("operator", HaltV1(reason="stop"))
    assert latch.state().is_halted


def test_heard_halt_stored_by_the_executor_can_be_lifted() -> None:
    latch = fold()
    latch.on_heard("operator", HaltV1(reason="stop"))
    latch.on_halt(5, "executor", HaltV1(reason="heard from operator: stop"))
    latch.stored_for("operator")
    latch.on_resume(6, resume(5))
    assert not latch.state().is_halted


def test_scoped_halt_leaves_the_account_running_and_names_its_scope() -> None:
    latch = fold()
    latch.on_halt(1, "init", HaltV1(reason="born"))
    latch.on_resume(2, resume(1))
    latch.on_halt(3, "operator", HaltV1(reason="odd", scope=ScopeKind.MARKET, scope_key="M1"))
    state = latch.state()
    assert not state.is_halted
    assert [halted.reaches({ScopeKind.MARKET: "M1"}) for halted in state.halts] == [True]
    assert [halted.reaches({ScopeKind.MARKET: "M2"}) for halted in state.halts] == [False]


def test_strongest_level_of_the_open_halts_counts() -> None:
    latch = fold()
    latch.on_halt(1, "a", HaltV1(reason="hard"))
    latch.on_halt(2, "b", HaltV1(reason="soft", level=GateState.REDUCE_ONLY))
    assert latch.state().level is GateState.HALTED


def test_order_of_arrival_changes_nothing() -> None:
    records = [("a", 1, 0), ("", 2, 1), ("b", 3, 0), ("", 4, 3), ("a", 5, 0)]
    words = set()
    for arrival in itertools.permutations(records):
        latch = fold()
        for halter, sequence, names in arrival:
            if halter:
                latch.on_halt(sequence, halter, HaltV1(reason="x"))
            else:
                latch.on_resume(sequence, resume(names))
        words.add((latch.state().is_halted, latch.state().halt_sequence))
    assert words == {(True, 5)}


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abc"), st.integers(0, 12)), max_size=12))
def test_fold_of_what_the_stream_keeps_never_runs_where_the_whole_story_is_halted(
    story: list[tuple[bool, str, int]],
) -> None:
    """The stream keeps the newest message a source; reading that back may halt more, never less."""
    whole, kept = fold(), fold()
    newest: dict[tuple[bool, str], tuple[int, int]] = {}
    for sequence, (is_halt, source, names) in enumerate(story, start=1):
        newest[is_halt, source] = (sequence, names)
        if is_halt:
            whole.on_halt(sequence, source, HaltV1(reason="x"))
        else:
            whole.on_resume(sequence, resume(names))
    for (is_halt, source), (sequence, names) in newest.items():
        if is_halt:
            kept.on_halt(sequence, source, HaltV1(reason="x"))
        else:
            kept.on_resume(sequence, resume(names))
    if whole.state().is_halted:
        assert kept.state().is_halted


def test_heard_halt_outlives_an_older_halt_of_its_source_that_is_read_again() -> None:
    latch = fold()
    latch.on_halt(3, "operator", HaltV1(reason="stop"))
    latch.on_resume(4, resume(3))
    latch.on_heard("operator", HaltV1(reason="stop"))
    latch.on_halt(3, "operator", HaltV1(reason="stop"))
    assert latch.state().is_halted


def test_heard_halt_outlives_another_halt_of_its_source() -> None:
    latch = fold()
    latch.on_heard("operator", HaltV1(reason="second"))
    latch.on_halt(3, "operator", HaltV1(reason="first"))
    latch.on_resume(4, resume(3))
    assert latch.state().is_halted
    assert [source for source, _ in latch.heard] == ["operator"]


def test_halt_heard_before_the_stream_was_read_is_not_taken_for_an_old_one_in_the_same_words() -> None:
    latch = fold(is_readable=False)
    latch.on_heard("operator", HaltV1(reason="stop"))
    latch.on_halt(3, "operator", HaltV1(reason="stop"))
    latch.on_resume(4, resume(3))
    latch.readable()
    assert latch.state().is_halted


def test_halt_heard_before_the_stream_was_read_gives_way_to_its_stored_copy() -> None:
    latch = fold(is_readable=False)
    latch.on_heard("operator", HaltV1(reason="stop"))
    latch.on_halt(3, "operator", HaltV1(reason="stop"))
    latch.readable()
    assert not latch.heard
    latch.on_resume(4, resume(3))
    assert not latch.state().is_halted


def test_narrower_or_weaker_halt_heard_later_takes_nothing_from_the_one_before() -> None:
    latch = fold()
    latch.on_heard("operator", HaltV1(reason="all"))
    latch.on_heard("operator", HaltV1(reason="one market", scope=ScopeKind.MARKET, scope_key="M1"))
    latch.on_heard("operator", HaltV1(reason="less", level=GateState.REDUCE_ONLY))
    assert latch.state().is_halted
    assert latch.state().level is GateState.HALTED
    latch.stored_for("operator", HaltV1(reason="less", level=GateState.REDUCE_ONLY))
    assert {halt.reason for _, halt in latch.heard} == {"all", "one market"}

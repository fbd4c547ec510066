"""What the file of the riskguard remembers, and which stream it speaks of."""

from __future__ import annotations

import pytest

from libs.common.messages.control import GateState, HaltV1
from libs.common.runtime.latch_file import UNSTORED, LatchWord
from services.riskguard.core.latches import Latches, WriteLatch
from tests.support.resumes import a_resume, admission, now_ms

BORN, STOP = HaltV1(reason="born halted"), HaltV1(reason="stop")


def latches(word: LatchWord, *, resumed: bool = True, stamp: str = "10:00") -> Latches:
    """Return latches that have read a stream with a halt at 1, lifted by 2."""
    made = Latches(word, admission())
    made.on_halt(1, "init", BORN, stamp)
    if resumed:
        assert made.on_resume(2, a_resume(1), now_ms(), now_ms()) == ""
    made.on_readable()
    return made


@pytest.mark.parametrize(
    ("word", "believed"),
    [
        (LatchWord(False, 1, "resumed", stamp="10:00"), False),
        (LatchWord(True, 1, "born halted", stamp="10:00"), False),
        (LatchWord(False, 1, "resumed"), False),
        (LatchWord(False, 1, "resumed", stamp="09:00"), True),
        (LatchWord(True, 1, "fat finger", stamp="09:00"), True),
        (LatchWord(True, 3, "fat finger", stamp="10:05"), True),
        (LatchWord(False, 3, "resumed", stamp="10:05"), True),
        (LatchWord(True, UNSTORED, "heard"), True),
        (LatchWord(True, 0, "no local latch file"), True),
    ],
)
def test_file_is_believed_where_the_stream_is_not_the_one_that_it_speaks_of(
    word: LatchWord, *, believed: bool
) -> None:
    made = latches(word)
    assert made.is_local is believed
    write, forgotten = made.settle()
    if not believed:
        assert write == WriteLatch(
            is_halted=False, halt_sequence=1, reason="resumed by record 2", stamp="10:00"
        )
        return
    assert forgotten is not None
    assert "local latch" in forgotten.reason
    # Stored again in our name it is a halt like any other: a resume names it, and that is the end of it.
    made.on_heard("riskguard", forgotten, "own")
    assert made.settle() == (WriteLatch(True, UNSTORED, forgotten.reason), None)
    made.on_halt(3, "riskguard", forgotten, None)
    assert made.settle() == (None, None), "acknowledged and not seen is no place to hold on to"
    made.on_halt(3, "riskguard", forgotten, "10:07")
    assert made.settle() == (WriteLatch(True, 3, forgotten.reason, "10:07"), None)
    assert made.on_resume(4, a_resume(3), now_ms(), now_ms()) == ""
    assert not made.state().is_halted
    assert not made.is_local
    assert made.settle() == (WriteLatch(False, 3, "resumed by record 4", "10:07"), None)


def test_file_that_knows_more_is_believed_although_the_stream_is_halted_anyway() -> None:
    """A fresh stream is born halted: lifting that must not lift what the file remembers."""
    made = latches(LatchWord(True, 9, "fat finger", GateState.REDUCE_ONLY), resumed=False)
    _, forgotten = made.settle()
    assert forgotten is not None
    assert (forgotten.reason, forgotten.level) == ("local latch: fat finger", GateState.REDUCE_ONLY)


def test_machine_without_a_file_takes_a_stream_that_is_halted_as_it_is() -> None:
    write, forgotten = latches(LatchWord(True, 0, "no local latch file"), resumed=False).settle()
    assert forgotten is None
    assert write == WriteLatch(True, 1, "born halted", "10:00")


def test_stream_that_was_lost_while_we_looked_is_read_anew_and_the_file_outlives_it() -> None:
    made = latches(LatchWord(False, 1, "resumed", stamp="10:00"))
    made.on_halt(3, "operator", STOP, "10:03")
    assert made.settle() == (WriteLatch(True, 3, "stop", "10:03"), None)
    made.on_lost()
    made.on_halt(1, "init", BORN, "11:00")
    assert made.on_resume(2, a_resume(1), now_ms(), now_ms()) == ""
    assert made.state().is_halted, "not read whole yet"
    made.on_readable()
    assert made.is_local
    _, forgotten = made.settle()
    assert forgotten is not None
    assert "stop" in forgotten.reason

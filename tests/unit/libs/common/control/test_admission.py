"""When a stored resume begins to count, and what begins with it."""

from __future__ import annotations

from libs.common.control.admission import Admission
from libs.common.control.latch import LatchFold
from libs.common.control.ramp import Ramp
from libs.common.messages.control import HaltV1
from tests.support.resumes import Person, a_resume, signed, verifier_of

AT_MS = 1_700_000_000_000
DELAY_MS = 900_000
RAMP = Ramp(start_e4=1_000, minutes=10)


def test_ramp_after_a_delayed_resume_begins_when_the_resume_counts() -> None:
    ann = Person("ann")
    for is_read_late in (False, True):
        fold = LatchFold()
        fold.on_halt(1, "operator", HaltV1(reason="stop"))
        fold.readable()
        admission = Admission(verifier_of(ann, required=1, delay_s=DELAY_MS // 1_000))
        resume = signed(a_resume(1, at_ms=AT_MS), ann)
        counts_ms = AT_MS + DELAY_MS
        assert admission.resume(fold, 2, resume, AT_MS, counts_ms if is_read_late else AT_MS) == ""
        assert admission.release(fold, counts_ms) is not is_read_late
        state = fold.state()
        assert not state.is_halted
        assert state.resumed_ms == counts_ms
        assert RAMP.scale_e4(state.resumed_ms, counts_ms) == RAMP.start_e4, "the delay is no part of the ramp"

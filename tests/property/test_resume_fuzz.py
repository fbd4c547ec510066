"""A resume needs the right nonce for the newest halt; nothing else resumes, whatever arrives."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.control.latch import LatchFold
from libs.common.messages.control import HaltV1
from services.riskguard.core.resume import Consequences, Execute, ResumeAnswer, ResumeDesk
from services.riskguard.core.triggers.base import Fired

NONCE = "a" * 32
LIFE_NS = 60_000_000_000
NOTHING = Consequences(markets=(), worst_loss_e6=0, day_result_e6=0, red=())
NOW_MS = 1_700_000_000_000
RED = Fired("daily_loss_limit", "the day's loss reached its limit", 1, 1, is_latching=True)


class Desk:
    """A desk with a fold of its own, one halt stored."""

    def __init__(self) -> None:
        self.desk = ResumeDesk(LIFE_NS)
        self.fold = LatchFold()
        self.fold.readable()
        self.fold.on_halt(1, "init", HaltV1(reason="born halted"))
        self.now_ns = 0
        self.fired: tuple[Fired, ...] = ()

    def ask(self, data: bytes, nonce: str = NONCE) -> ResumeAnswer | Execute:
        return self.desk.on_request(data, self.fold.state(), self.fired, NOTHING, self.now_ns, NOW_MS, nonce)

    def first(self, nonce: str = NONCE, **more: object) -> ResumeAnswer:
        answer = self.ask(request(**more), nonce)
        assert isinstance(answer, ResumeAnswer)
        return answer


def request(**more: object) -> bytes:
    return json.dumps({"reason": "reviewed", "by": "ann", **more}).encode()


texts = st.text(max_size=40)
messages = st.one_of(
    st.binary(max_size=80),
    st.builds(lambda b: b.encode("utf-8", "replace"), texts),
    st.builds(
        lambda reason, by, nonce, more: json.dumps(
            {"reason": reason, "by": by, "nonce": nonce, **more}
        ).encode("utf-8", "replace"),
        texts,
        texts,
        texts,
        st.dictionaries(texts, st.none() | st.integers() | texts, max_size=2),
    ),
)


@given(st.lists(messages, max_size=20), st.booleans())
@settings(max_examples=150)
def test_no_invented_message_resumes(sent: list[bytes], has_begun: bool) -> None:
    desk = Desk()
    if has_begun:
        assert desk.first().nonce == NONCE
    assert all(isinstance(desk.ask(data), ResumeAnswer) for data in sent)


def test_two_steps_with_the_nonce_resume() -> None:
    desk = Desk()
    answer = desk.first()
    assert answer.is_accepted
    assert answer.halt_sequence == 1
    executed = desk.ask(request(nonce=answer.nonce))
    assert isinstance(executed, Execute)
    assert executed.resume.halt_sequence == executed.halt_sequence == 1


def test_a_nonce_works_once() -> None:
    desk = Desk()
    desk.first()
    assert isinstance(desk.ask(request(nonce=NONCE)), Execute)
    assert isinstance(desk.ask(request(nonce=NONCE)), ResumeAnswer)


def test_a_wrong_nonce_voids_the_right_one() -> None:
    desk = Desk()
    desk.first()
    assert isinstance(desk.ask(request(nonce="b" * 32)), ResumeAnswer)
    assert isinstance(desk.ask(request(nonce=NONCE)), ResumeAnswer)


def test_a_newer_halt_defeats_the_nonce() -> None:
    desk = Desk()
    desk.first()
    desk.fold.on_halt(2, "operator", HaltV1(reason="again"))
    answer = desk.ask(request(nonce=NONCE))
    assert isinstance(answer, ResumeAnswer)
    assert "newer" in answer.refusals[0]


def test_a_halt_that_was_only_heard_cannot_be_resumed() -> None:
    desk = Desk()
    desk.fold.on_heard("operator", HaltV1(reason="stop"))
    assert not desk.first().is_accepted


def test_a_nonce_grows_old() -> None:
    desk = Desk()
    desk.first()
    desk.now_ns = LIFE_NS
    assert isinstance(desk.ask(request(nonce=NONCE)), Execute)
    desk.first()
    desk.now_ns += LIFE_NS + 1
    assert isinstance(desk.ask(request(nonce=NONCE)), ResumeAnswer)


def test_somebody_else_cannot_finish_what_one_began() -> None:
    desk = Desk()
    desk.first()
    assert isinstance(desk.ask(request(nonce=NONCE, by="bob")), ResumeAnswer)


def test_a_red_trigger_refuses_unless_overruled_with_an_end() -> None:
    desk = Desk()
    desk.fired = (RED,)
    assert not desk.first().is_accepted
    assert not desk.first(override_until_ms=NOW_MS).is_accepted
    assert not desk.first(override_until_ms=NOW_MS + 3_600_001).is_accepted
    assert desk.first(override_until_ms=NOW_MS + 60_000).is_accepted
    executed = desk.ask(request(nonce=NONCE))
    assert isinstance(executed, Execute)
    assert executed.overruled == {RED.trigger: NOW_MS + 60_000}


def test_a_trigger_that_turned_red_between_the_steps_refuses() -> None:
    desk = Desk()
    desk.first()
    desk.fired = (RED,)
    assert isinstance(desk.ask(request(nonce=NONCE)), ResumeAnswer)


def test_nothing_to_resume_is_refused() -> None:
    desk = Desk()
    desk.first()
    executed = desk.ask(request(nonce=NONCE))
    assert isinstance(executed, Execute)
    desk.fold.on_resume(2, executed.resume)
    assert not desk.first().is_accepted


def test_answers_are_json() -> None:
    assert json.loads(msgspec.json.encode(Desk().first()))["step"] == 1

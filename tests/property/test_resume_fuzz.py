"""Nothing but the right resume resumes: neither executor's fold nor riskguard's desk is talked into it.

A hundred thousand messages for each: random bytes, valid ones with something changed, wrong or too
few signatures, other halts, expired ones, used nonces, another environment or account. The right one
resumes afterwards, once; the same one again does not.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import pytest

from libs.common.control.admission import Admission
from libs.common.control.latch import LatchFold
from libs.common.control.signing import Verifier
from libs.common.messages.base import MalformedMessage, WireDecoder, encode
from libs.common.messages.control import HaltV1, ResumeV1
from services.riskguard.core.resume import Consequences, Execute, ResumeAnswer, ResumeDesk
from services.riskguard.core.triggers.base import Fired
from tests.support.resumes import Person, a_resume, signed, verifier_of

COUNT: Final = 100_000
NONCE: Final = "a" * 32
LIFE_NS: Final = 60_000_000_000
NOTHING: Final = Consequences(markets=(), worst_loss_e6=0, day_result_e6=0, red=())
NOW_MS: Final = 1_700_000_000_000
RED: Final = Fired("daily_loss_limit", "the day's loss reached its limit", 1, 1, is_latching=True)
ANN, BOB, EVE = Person("ann"), Person("bob"), Person("eve")
TWO: Final = verifier_of(ANN, BOB, required=2)
_RESUME: Final = WireDecoder(ResumeV1)
pytestmark = pytest.mark.timeout(400)


# What is sent -----------------------------------------------------------------------------------------


def junk(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(200))


def bent(chance: random.Random, data: bytes) -> bytes:
    """Return the bytes with a few of them changed, dropped, doubled or cut off."""
    bytes_now = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(max(1, len(bytes_now)))
        match chance.randrange(4):
            case 0 if bytes_now:
                bytes_now[place] ^= 1 << chance.randrange(8)
            case 1:
                bytes_now[place:place] = chance.randbytes(chance.randint(1, 3))
            case 2:
                del bytes_now[place : place + chance.randint(1, 3)]
            case _:
                del bytes_now[place:]
    return bytes(bytes_now)


Change = tuple[str, Callable[[random.Random], Any]]
WORDS: Final = ("", "sim", "live", "main", "other", "ann", "bob", "SIM", "main ", "\x00")
CHANGES: Final[tuple[Change, ...]] = (
    ("env", lambda chance: chance.choice([w for w in WORDS if w != "sim"])),
    ("account", lambda chance: chance.choice([w for w in WORDS if w != "main"])),
    ("halt_sequence", lambda chance: chance.choice([-1, 0, 1, 2, 4, 5, 6, 2**40])),
    ("nonce", lambda _: ""),
    ("by", lambda chance: chance.choice(["", " ", "\t"])),
    ("reason", lambda chance: chance.choice(["", " "])),
    ("expires_ms", lambda chance: NOW_MS - chance.choice([1, 1_000, NOW_MS])),
    ("expires_ms", lambda chance: NOW_MS + 310_001 + chance.randrange(10**12)),
)


class Offer:
    """An offer with everything that people, rightly or not, sign for it; made once, used often."""

    def __init__(self, offer: ResumeV1) -> None:
        self.offer = offer
        self.right = signed(offer, ANN, BOB)
        self.data = encode(self.right)
        ann, bob = self.right.signatures
        other = msgspec.structs.replace(offer, reason=f"{offer.reason}.")
        self.forged: tuple[tuple[str, ...], ...] = (
            (),
            (ann,),
            (bob,),
            (ann, ann),
            (ann, ann, ann, ann),
            (ann, EVE.sign(offer)),
            (ann, EVE.sign(offer).replace("eve", "bob")),
            (ann, ann.replace("ann", "bob")),
            (ann, BOB.sign(other)),
            (ANN.sign(other), BOB.sign(other)),
            (ann, bob[:-4]),
            (ann, bob.replace("bob", "Bob")),
            (ann, "bob:"),
            (ann, "bob"),
            (ann, f"bob:{b'x'.hex() * 64}"),
            ("", ":", "ann:bob", bob),
        )


def wrong_record(chance: random.Random, made: Offer) -> bytes:
    """Return a record that must not resume: mutated, mis-signed, for another halt, time or place."""
    offer, kind = made.offer, chance.randrange(8)
    if kind == 0:
        return junk(chance)
    if kind == 1:
        # Bytes of the right record, bent: whatever still decodes must be the record itself to count.
        return bent(chance, made.data)
    if kind <= 4:
        return encode(msgspec.structs.replace(offer, signatures=chance.choice(made.forged)))
    name, value = chance.choice(CHANGES)
    changed = msgspec.structs.replace(offer, **{name: value(chance)})
    if kind == 5:
        # Signed as it stands, so that nothing but the changed field speaks against it.
        return encode(signed(changed, ANN, BOB))
    return encode(msgspec.structs.replace(changed, signatures=made.right.signatures))


# The executor's fold ----------------------------------------------------------------------------------


class Stream:
    """The executor's reading of a control stream in which the newest halt is 3."""

    def __init__(self, verifier: Verifier = TWO) -> None:
        self.admission = Admission(verifier)
        self.fold = LatchFold()
        self.sequence = 3
        self.fold.on_halt(1, "init", HaltV1(reason="born halted"))
        self.fold.on_halt(3, "operator", HaltV1(reason="stop"))
        self.fold.readable()

    def store(self, data: bytes, stored_ms: int = NOW_MS) -> bool:
        """Store the bytes as the next record and return whether that resumed."""
        self.sequence += 1
        try:
            resume = _RESUME.decode(data)
        except MalformedMessage:
            return False
        self.admission.resume(self.fold, self.sequence, resume, stored_ms, stored_ms)
        return not self.fold.state().is_halted

    def clear(self) -> None:
        """Forget records that lift nothing, so that a long run stays quick; nonces have a test."""
        assert self.fold.state().is_halted
        self.fold._resumes.clear()
        self.admission._refused.clear()


def records(seed: int, count: int) -> Iterator[tuple[Offer, bytes]]:
    chance = random.Random(seed)
    made = Offer(a_resume(3, at_ms=NOW_MS))
    for number in range(count):
        if number % 500 == 0:
            made = Offer(a_resume(3, at_ms=NOW_MS))
        yield made, wrong_record(chance, made)


def test_no_wrong_record_resumes_the_executor_the_right_one_does_and_its_replay_does_not() -> None:
    stream, sent = Stream(), 0
    for made, data in records(1, COUNT):
        sent += 1
        if stream.store(data):
            # Bent bytes may spell the same record (a blank between two fields): that one is right.
            resume = _RESUME.decode(data)
            assert msgspec.structs.replace(resume, signatures=()) == made.offer, data
            assert TWO.signers_of(resume) == {"ann", "bob"}, data
            stream = Stream()
        if sent % 50 == 0:
            stream.clear()
    assert sent == COUNT
    right = encode(signed(a_resume(3, at_ms=NOW_MS), ANN, BOB))
    assert stream.store(right)
    stream.sequence += 1
    stream.fold.on_halt(stream.sequence, "riskguard", HaltV1(reason="again"))
    for _ in range(100):
        assert not stream.store(right), "a replay"


def test_right_words_at_the_wrong_time_or_place_of_the_stream_resume_nobody() -> None:
    right = signed(a_resume(3, at_ms=NOW_MS), ANN, BOB)
    for late_ms in (60_001, 10**9):
        assert not Stream().store(encode(right), NOW_MS + late_ms)
    assert not Stream().store(encode(right), 0), "who cannot say when it was stored cannot judge it"
    assert not Stream().store(encode(right), NOW_MS - 260_001), "made for later than anybody waits"
    stream = Stream()
    stream.fold.on_halt(4, "riskguard", HaltV1(reason="between"))
    stream.sequence = 4
    assert not stream.store(encode(right))
    assert Stream().store(encode(right), NOW_MS + 60_000)


def test_nonce_that_was_used_in_vain_is_used() -> None:
    stream = Stream()
    older = signed(a_resume(1, nonce=NONCE, at_ms=NOW_MS), ANN, BOB)
    assert not stream.store(encode(older))
    assert not stream.store(encode(signed(a_resume(3, nonce=NONCE, at_ms=NOW_MS), ANN, BOB)))
    assert stream.store(encode(signed(a_resume(3, at_ms=NOW_MS), ANN, BOB)))


# The riskguard's desk ---------------------------------------------------------------------------------


class Desk:
    """A desk with a fold of its own, one halt stored."""

    def __init__(self, verifier: Verifier | None = None) -> None:
        self.desk = ResumeDesk(LIFE_NS, verifier or Verifier("sim", "main"))
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


def offer_of(answer: ResumeAnswer) -> ResumeV1:
    assert answer.offer is not None, answer.refusals
    return answer.offer


def request(**more: object) -> bytes:
    return json.dumps({"reason": "reviewed", "by": "ann", **more}).encode()


def wrong_request(chance: random.Random, made: Offer) -> bytes:
    """Return a request that must not resume."""
    nonce, signatures = made.offer.nonce, made.right.signatures
    right = {"nonce": nonce, "signatures": signatures}
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: junk(chance),
        lambda: request(nonce=bent(chance, nonce.encode()).decode("latin-1") + "x", signatures=signatures),
        lambda: request(nonce=nonce, signatures=chance.choice(made.forged)),
        lambda: request(**right, **{chance.choice(["by", "reason"]): chance.choice(["eve", "", " "])}),
        lambda: request(**right, **{chance.choice(WORDS) or "x": 1}),
        lambda: request(**right)[: chance.randrange(40)],
        lambda: request(override_until_ms=chance.choice([-1, 0, NOW_MS, NOW_MS + 3_600_001])),
    )
    return chance.choice(kinds)()


def test_no_wrong_request_passes_the_desk_the_right_one_does_and_its_replay_does_not() -> None:
    chance, desk = random.Random(2), Desk(TWO)
    made = None
    for number in range(COUNT):
        if made is None or number % 50 == 0:
            # One nonce for fifty requests: signatures for its offer are dear, and most of them void it.
            made = Offer(offer_of(desk.first()))
        elif number % 5 == 0:
            desk.first()
        assert isinstance(desk.ask(wrong_request(chance, made), nonce=f"f{number:031x}"), ResumeAnswer)
    offer = offer_of(desk.first())
    right = request(nonce=NONCE, signatures=signed(offer, ANN, BOB).signatures)
    executed = desk.ask(right)
    assert isinstance(executed, Execute)
    assert TWO.refusal(executed.resume, NOW_MS) == "", "what the desk lets through counts in the stream"
    assert isinstance(desk.ask(right), ResumeAnswer), "a replay"


def test_two_steps_with_the_nonce_resume() -> None:
    desk = Desk()
    answer = desk.first()
    assert answer.is_accepted
    assert answer.halt_sequence == 1
    executed = desk.ask(request(nonce=answer.nonce))
    assert isinstance(executed, Execute)
    assert executed.resume.halt_sequence == executed.halt_sequence == 1
    assert executed.resume == answer.offer, "what is stored is what was offered"


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


def test_people_who_are_slow_to_sign_need_no_new_offer() -> None:
    desk = Desk(TWO)
    offer = offer_of(desk.first())
    refused = desk.ask(request(nonce=NONCE, signatures=[ANN.sign(offer)]))
    assert isinstance(refused, ResumeAnswer)
    assert "2 signatures" in refused.refusals[0]
    assert isinstance(desk.ask(request(nonce=NONCE, signatures=[ANN.sign(offer), BOB.sign(offer)])), Execute)


def test_a_mode_that_wants_people_offers_nothing_while_too_few_are_configured() -> None:
    answer = Desk(verifier_of(ANN, required=2)).first()
    assert not answer.is_accepted
    assert "people in control.signers" in answer.refusals[0]


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


@pytest.mark.parametrize("words", [{"by": "bob"}, {"reason": "something else"}])
def test_somebody_or_something_else_cannot_finish_what_one_began(words: dict[str, str]) -> None:
    desk = Desk()
    desk.first()
    assert isinstance(desk.ask(request(nonce=NONCE, **words)), ResumeAnswer)


def test_a_red_trigger_refuses_unless_overruled_with_an_end() -> None:
    desk = Desk()
    desk.fired = (RED,)
    assert not desk.first().is_accepted
    assert not desk.first(override_until_ms=NOW_MS).is_accepted
    assert not desk.first(override_until_ms=NOW_MS + 3_600_001).is_accepted
    answer = desk.first(override_until_ms=NOW_MS + 60_000)
    assert answer.is_accepted
    assert offer_of(answer).overruled == (RED.trigger,), "it is in the signed words"
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


def test_the_first_step_names_every_halt_that_it_lifts_with_its_reach() -> None:
    desk = Desk()
    desk.fold.on_halt(
        2,
        "operator",
        msgspec.json.decode(b'{"reason":"odd","scope":"market","scope_key":"KX-1"}', type=HaltV1),
    )
    desk.fold.on_halt(4, "riskguard", HaltV1(reason="loss", trigger="daily_loss"))
    answer = desk.first()
    shown = [(line.sequence, line.source, line.scope, line.scope_key) for line in answer.halts]
    assert shown == [
        (4, "riskguard", "account", ""),
        (2, "operator", "market", "KX-1"),
        (1, "init", "account", ""),
    ]
    assert "2 by operator, halted for market KX-1" in answer.will_happen


def test_answers_are_json() -> None:
    assert json.loads(msgspec.json.encode(Desk().first()))["step"] == 1

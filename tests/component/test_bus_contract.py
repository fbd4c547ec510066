"""Both buses keep the same promises: each test runs against the memory bus and against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.common.bus.api import AppendRefused, Bus, BusUnavailable, Fence, Message, OutcomeUnknown
from libs.common.bus.memory import MemoryBus
from libs.common.bus.nats import NatsBus
from libs.common.bus.streams import create_streams
from libs.common.runtime.context import bound, bound_fields
from libs.common.subjects import Stream
from tests.support.bus import ENV
from tests.support.eventually import eventually

HALT = "dora.sim.ctl.halt.operator"
RESUME = "dora.sim.ctl.resume.operator"
EPOCH = "dora.sim.exec.epoch.main"
INTENT = "dora.sim.exec.intent.main"


class Pair:
    """Two connections to one broker."""

    def __init__(self, one: Bus, two: Bus) -> None:
        self.one = one
        self.two = two


@pytest.fixture(params=["memory", "nats"])
async def buses(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    if request.param == "memory":
        one = MemoryBus(ENV)
        yield Pair(one, one.peer())
        return
    url = request.getfixturevalue("nats_url")
    await create_streams(url, ENV)
    first = await NatsBus.connect(url, name="one", env=ENV)
    second = await NatsBus.connect(url, name="two", env=ENV)
    yield Pair(first, second)
    await first.drain()
    await second.drain()


class Heard:
    """Remembers what a handler was given."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def data(self) -> list[bytes]:
        return [message.data for message in self.messages]


async def test_each_delivers_every_message_in_order(buses: Pair) -> None:
    heard = Heard()
    await buses.one.each("dora.sim.md.trade.*", heard)
    await settle(buses)
    for number in range(50):
        await buses.two.publish("dora.sim.md.trade.A", b"%d" % number)
    await eventually(lambda: len(heard.data) == 50)
    assert heard.data == [b"%d" % number for number in range(50)]
    assert all(message.received_ns > 0 and message.sequence == 0 for message in heard.messages)


async def test_latest_keeps_the_newest_of_each_subject_while_the_handler_is_busy(buses: Pair) -> None:
    gate = asyncio.Event()
    heard = Heard()

    async def slow(message: Message) -> None:
        await heard(message)
        await gate.wait()

    await buses.one.latest("dora.sim.md.book.*", slow)
    await settle(buses)
    await buses.two.publish("dora.sim.md.book.A", b"first")
    await eventually(lambda: heard.data == [b"first"])
    for number in range(500):
        await buses.two.publish("dora.sim.md.book.A", b"a%d" % number)
        await buses.two.publish("dora.sim.md.book.B", b"b%d" % number)
    await settle(buses)
    gate.set()
    await eventually(lambda: len(heard.data) >= 3)
    assert heard.data == [b"first", b"a499", b"b499"]


async def test_a_queue_group_hands_each_message_to_one_member(buses: Pair) -> None:
    one, two = Heard(), Heard()
    await buses.one.each("dora.sim.md.book.*", one, queue="strategy")
    await buses.two.each("dora.sim.md.book.*", two, queue="strategy")
    await settle(buses)
    for number in range(40):
        await buses.one.publish("dora.sim.md.book.A", b"%d" % number)
    await eventually(lambda: len(one.data) + len(two.data) == 40)
    assert sorted(one.data + two.data) == sorted(b"%d" % number for number in range(40))


async def test_a_stopped_subscription_hears_nothing_more(buses: Pair) -> None:
    heard = Heard()
    subscription = await buses.one.each("dora.sim.md.book.*", heard)
    await settle(buses)
    await subscription.stop()
    await settle(buses)
    await buses.two.publish("dora.sim.md.book.A", b"x")
    await settle(buses)
    assert heard.data == []


async def test_an_append_is_acknowledged_with_a_growing_sequence(buses: Pair) -> None:
    first = await buses.one.append(EPOCH, b"1", msg_id="a")
    second = await buses.one.append(INTENT, b"2", msg_id="b")
    assert (second.sequence, first.is_duplicate, second.is_duplicate) == (first.sequence + 1, False, False)


async def test_a_repeated_message_id_is_a_duplicate_and_stores_nothing(buses: Pair) -> None:
    first = await buses.one.append(EPOCH, b"1", msg_id="a")
    again = await buses.two.append(EPOCH, b"another body", msg_id="a")
    assert (again.sequence, again.is_duplicate) == (first.sequence, True)
    last = await buses.one.last(EPOCH)
    assert last is not None
    assert last.data == b"1"


async def test_a_stale_fence_is_refused_and_stores_nothing(buses: Pair) -> None:
    mine = await buses.one.append(EPOCH, b"mine", msg_id="e1", fence=Fence(EPOCH, 0))
    await buses.one.append(INTENT, b"ok", msg_id="i1", fence=Fence(EPOCH, mine.sequence))
    theirs = await buses.two.append(EPOCH, b"theirs", msg_id="e2", fence=Fence(EPOCH, mine.sequence))
    with pytest.raises(AppendRefused) as refused:
        await buses.one.append(INTENT, b"late", msg_id="i2", fence=Fence(EPOCH, mine.sequence))
    assert refused.value.is_fence
    last = await buses.one.last(INTENT)
    assert last is not None
    assert last.data == b"ok"
    await buses.two.append(INTENT, b"new leader", msg_id="i3", fence=Fence(EPOCH, theirs.sequence))


async def test_a_fenced_retry_after_losing_the_epoch_proves_nothing_about_leading(buses: Pair) -> None:
    """A single server of 2.15 refuses the retry although the first try landed; "duplicate" was seen too.

    So neither answer says "I still lead", and after an unknown outcome a refusal
    does not say that the first try was lost.
    """
    mine = await buses.one.append(EPOCH, b"mine", msg_id="e1")
    landed = await buses.one.append(INTENT, b"i", msg_id="i1", fence=Fence(EPOCH, mine.sequence))
    await buses.two.append(EPOCH, b"theirs", msg_id="e2")
    try:
        again = await buses.one.append(INTENT, b"i", msg_id="i1", fence=Fence(EPOCH, mine.sequence))
        said = "duplicate" if again.is_duplicate else "stored again"
    except AppendRefused as refused:
        said = "fence" if refused.is_fence else "refused"
    assert said in ("duplicate", "fence")
    last = await buses.one.last(INTENT)
    assert last is not None
    assert last.sequence == landed.sequence


async def test_a_resume_is_fenced_on_every_halt_of_every_source(buses: Pair) -> None:
    await buses.one.append(HALT, b"one", msg_id="h1")
    newest = await buses.one.append("dora.sim.ctl.halt.riskguard", b"two", msg_id="h2")
    with pytest.raises(AppendRefused) as refused:
        await buses.one.append(
            RESUME, b"r", msg_id="r1", fence=Fence("dora.sim.ctl.halt.>", newest.sequence - 1)
        )
    assert refused.value.is_fence
    await buses.one.append(RESUME, b"r", msg_id="r2", fence=Fence("dora.sim.ctl.halt.>", newest.sequence))


async def test_an_append_where_no_stream_listens_says_that_nothing_was_stored(buses: Pair) -> None:
    with pytest.raises(BusUnavailable):
        await buses.one.append("dora.sim.md.book.A", b"x", msg_id="1")


async def test_last_finds_the_newest_under_a_wildcard_and_nothing_where_nothing_is(buses: Pair) -> None:
    await buses.one.append("dora.sim.order.A", b"a", msg_id="1")
    newest = await buses.one.append("dora.sim.order.B", b"b", msg_id="2", headers={"k": "v"})
    last = await buses.two.last("dora.sim.order.>")
    assert last is not None
    assert (last.subject, last.data, last.sequence, last.headers["k"]) == (
        "dora.sim.order.B",
        b"b",
        newest.sequence,
        "v",
    )
    assert await buses.two.last("dora.sim.fill.>") is None
    with pytest.raises(BusUnavailable):
        await buses.two.last("dora.sim.md.book.A")


async def test_last_each_returns_one_message_a_subject_by_sequence(buses: Pair) -> None:
    for number in range(6):
        await buses.one.append(f"dora.sim.order.{'ABC'[number % 3]}", b"%d" % number, msg_id=str(number))
    found = await buses.two.last_each("dora.sim.order.>")
    assert [(message.subject[-1], message.data) for message in found] == [
        ("A", b"3"),
        ("B", b"4"),
        ("C", b"5"),
    ]


async def test_read_yields_what_is_stored_from_a_sequence_on_and_ends(buses: Pair) -> None:
    sequences = [
        (
            await buses.one.append(
                f"dora.sim.{'order' if number % 2 else 'fill'}.A", b"%d" % number, msg_id=str(number)
            )
        ).sequence
        for number in range(100)
    ]
    everything = [message async for message in buses.two.read("dora.sim.order.>")]
    assert [message.data for message in everything] == [b"%d" % number for number in range(1, 100, 2)]
    tail = [message.data async for message in buses.two.read("dora.sim.order.>", from_sequence=sequences[90])]
    assert tail == [b"91", b"93", b"95", b"97", b"99"]
    assert [message async for message in buses.two.read("dora.sim.exec.renew.>")] == []


async def test_read_finds_the_few_among_many(buses: Pair) -> None:
    for number in range(100):
        subject = "dora.sim.fill.B" if number in (3, 77) else "dora.sim.order.A"
        await buses.one.append(subject, b"%d" % number, msg_id=str(number))
    assert [message.data async for message in buses.two.read("dora.sim.fill.>")] == [b"3", b"77"]


async def test_read_all_yields_a_whole_stream_in_the_order_it_was_stored(buses: Pair) -> None:
    subjects = ("dora.sim.order.A", "dora.sim.fill.B", INTENT)
    sequences = [
        (await buses.one.append(subjects[number % 3], b"%d" % number, msg_id=str(number))).sequence
        for number in range(100)
    ]
    await buses.one.append(HALT, b"of another stream", msg_id="halt")
    everything = [message async for message in buses.two.read_all(Stream.EXEC)]
    assert [message.data for message in everything] == [b"%d" % number for number in range(100)]
    assert [message.sequence for message in everything] == sequences
    tail = [message.data async for message in buses.two.read_all(Stream.EXEC, from_sequence=sequences[97])]
    assert tail == [b"97", b"98", b"99"]


async def test_follow_delivers_what_is_stored_and_then_what_comes_in_order(buses: Pair) -> None:
    heard = Heard()
    for number in range(30):
        await buses.one.append("dora.sim.fill.A", b"%d" % number, msg_id=str(number))
    await buses.two.follow("dora.sim.fill.>", heard, from_sequence=1)
    await eventually(lambda: len(heard.data) == 30)
    for number in range(30, 60):
        await buses.one.append("dora.sim.fill.A", b"%d" % number, msg_id=str(number))
    await eventually(lambda: len(heard.data) == 60)
    assert heard.data == [b"%d" % number for number in range(60)]
    sequences = [message.sequence for message in heard.messages]
    assert sequences == sorted(set(sequences))


async def test_follow_never_delivers_what_the_stream_refused(buses: Pair) -> None:
    heard, live = Heard(), Heard()
    await buses.two.follow("dora.sim.exec.intent.>", heard)
    await buses.two.each("dora.sim.exec.intent.>", live)
    await settle(buses)
    with pytest.raises(AppendRefused):
        await buses.one.append(INTENT, b"refused", msg_id="1", fence=Fence(EPOCH, 77))
    await buses.one.append(INTENT, b"stored", msg_id="2")
    await eventually(lambda: heard.data == [b"stored"])
    await eventually(lambda: live.data == [b"refused", b"stored"], what="listeners hear refused messages too")


async def test_a_core_message_on_a_captured_subject_is_heard_and_stored(buses: Pair) -> None:
    heard = Heard()
    await buses.one.each("dora.sim.ctl.halt.>", heard)
    await settle(buses)
    await buses.two.publish(HALT, b"")
    await eventually(lambda: heard.data == [b""])

    async def stored() -> bool:
        last = await buses.one.last(HALT)
        return last is not None and last.data == b""

    await eventually(stored)


async def test_a_request_is_answered_and_no_listener_is_told_at_once(buses: Pair) -> None:
    async def answer(message: Message) -> None:
        await buses.one.respond(message, b"you said " + message.data)

    await buses.one.each("dora.sim.svc.x.echo", answer)
    await settle(buses)
    assert (await buses.two.request("dora.sim.svc.x.echo", b"hi")).data == b"you said hi"
    with pytest.raises(BusUnavailable):
        await buses.two.request("dora.sim.svc.nobody.status", b"")


async def test_a_request_without_an_answer_is_unknown(buses: Pair) -> None:
    await buses.one.each("dora.sim.svc.x.mute", Heard())
    await settle(buses)
    with pytest.raises(OutcomeUnknown):
        await buses.two.request("dora.sim.svc.x.mute", b"", timeout_s=0.05)


async def test_an_endpoint_answers_and_keeps_its_exceptions_to_itself(buses: Pair) -> None:
    async def status(message: Message) -> None:
        await buses.one.respond(message, b"fine")

    async def broken(_: Message) -> None:
        raise RuntimeError("/secret/path")

    await buses.one.serve("x", {"status": status, "broken": broken}, {"version": "1.2.3"})
    await settle(buses)
    assert (await buses.two.request("dora.sim.svc.x.status", b"")).data == b"fine"
    answer = await buses.two.request("dora.sim.svc.x.broken", b"")
    assert answer.headers["Nats-Service-Error-Code"] == "500"
    assert "secret" not in str(answer)


async def test_configuration_is_written_read_and_watched(buses: Pair) -> None:
    heard = Heard()
    assert await buses.one.get_config("strategy.A") is None
    first = await buses.one.put_config("strategy.A", b"1")
    await buses.one.put_config("strategy.B", b"b")
    await buses.two.watch_config("strategy.>", heard)
    await eventually(lambda: sorted(heard.data) == [b"1", b"b"])
    second = await buses.one.put_config("strategy.A", b"2")
    await eventually(lambda: heard.data[-1:] == [b"2"])
    entry = await buses.two.get_config("strategy.A")
    assert entry is not None
    assert (entry.data, entry.sequence, entry.subject) == (b"2", second, "strategy.A")
    assert second > first
    assert heard.messages[-1].subject == "strategy.A"


async def test_what_is_bound_travels_with_a_message_and_is_bound_for_its_handler(buses: Pair) -> None:
    seen: list[dict[str, str]] = []

    async def note(_: Message) -> None:
        seen.append(dict(bound_fields()))

    await buses.one.each("dora.sim.target.*", note)
    await settle(buses)
    with bound(decision_id="r:A:7", market="A", private="stays here"):
        await buses.two.publish("dora.sim.target.A", b"x")
    await buses.two.publish("dora.sim.target.B", b"y")
    await eventually(lambda: len(seen) == 2)
    assert seen == [{"decision_id": "r:A:7", "market": "A"}, {}]


async def test_after_drain_nothing_is_sent(buses: Pair) -> None:
    heard = Heard()
    await buses.one.each("dora.sim.md.book.*", heard)
    await settle(buses)
    await buses.two.publish("dora.sim.md.book.A", b"last word")
    await buses.two.drain()
    await eventually(lambda: heard.data == [b"last word"])
    with pytest.raises(BusUnavailable):
        await buses.two.publish("dora.sim.md.book.A", b"too late")
    with pytest.raises(BusUnavailable):
        await buses.two.append(HALT, b"too late", msg_id="x")


async def settle(buses: Pair) -> None:
    """Let what was sent before arrive: a question passes the server after it, on both connections."""
    for bus in (buses.one, buses.two):
        await bus.last("dora.sim.ctl.halt.>")
    await asyncio.sleep(0.005)

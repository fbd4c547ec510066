"""What the memory bus has beyond the common promises: faults, pumping by hand, no asyncio in the broker."""

from __future__ import annotations

import pytest

from libs.common.bus.api import AppendRefused, BusUnavailable, Fence, Message, OutcomeUnknown
from libs.common.bus.memory import MemoryBroker, MemoryBus
from libs.common.env import Env
from libs.common.runtime.clock import ManualClock

HALT = "dora.sim.ctl.halt.operator"


class Heard:
    def __init__(self) -> None:
        self.data: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        self.data.append(message.data)


async def test_pumped_by_hand_nothing_moves_before_and_everything_after() -> None:
    bus = MemoryBus(is_manual=True)
    books, trades = Heard(), Heard()
    await bus.latest("dora.sim.md.book.*", books)
    await bus.each("dora.sim.md.trade.*", trades)
    for number in range(3):
        await bus.publish("dora.sim.md.book.A", b"%d" % number)
        await bus.publish("dora.sim.md.trade.A", b"%d" % number)
    assert books.data == trades.data == []
    assert await bus.pump() == 4
    assert (books.data, trades.data) == ([b"2"], [b"0", b"1", b"2"])


async def test_pumping_goes_on_until_answers_of_answers_are_delivered() -> None:
    bus = MemoryBus(is_manual=True)
    last = Heard()

    async def relay(message: Message) -> None:
        await bus.publish("dora.sim.target.A", message.data + b"!")

    await bus.each("dora.sim.md.book.A", relay)
    await bus.each("dora.sim.target.A", last)
    await bus.publish("dora.sim.md.book.A", b"x")
    await bus.pump()
    assert last.data == [b"x!"]


async def test_a_request_is_answered_when_pumped_by_hand() -> None:
    bus = MemoryBus(is_manual=True)

    async def answer(message: Message) -> None:
        await bus.respond(message, b"yes")

    await bus.serve("executor", {"status": answer}, {})
    assert (await bus.request("dora.sim.svc.executor.status", b"")).data == b"yes"


async def test_a_cut_connection_neither_sends_nor_hears_while_others_go_on() -> None:
    one = MemoryBus(is_manual=True)
    two = one.peer()
    heard_one, heard_two = Heard(), Heard()
    await one.each("dora.sim.ctl.halt.>", heard_one)
    await two.each("dora.sim.ctl.halt.>", heard_two)
    one.is_connected = False
    with pytest.raises(BusUnavailable):
        await one.publish(HALT, b"")
    with pytest.raises(BusUnavailable):
        await one.last(HALT)
    await two.publish(HALT, b"stop")
    await one.pump()
    await two.pump()
    assert (heard_one.data, heard_two.data) == ([], [b"stop"])


async def test_a_lost_acknowledgement_is_unknown_and_the_id_tells() -> None:
    bus = MemoryBus()
    bus.broker.acks_to_lose = 1
    with pytest.raises(OutcomeUnknown):
        await bus.append(HALT, b"x", msg_id="1")
    assert (await bus.append(HALT, b"x", msg_id="1")).is_duplicate


async def test_a_full_stream_refuses_while_core_messages_pass() -> None:
    bus = MemoryBus(is_manual=True)
    heard = Heard()
    await bus.each("dora.sim.ctl.halt.>", heard)
    bus.broker.is_full = True
    with pytest.raises(AppendRefused) as refused:
        await bus.append("dora.sim.ctl.limit.x", b"", msg_id="1")
    assert not refused.value.is_fence
    await bus.publish(HALT, b"stop")
    await bus.pump()
    assert heard.data == [b"stop"]
    assert await bus.last(HALT) is None


async def test_a_message_id_is_free_again_after_its_window() -> None:
    clock = ManualClock()
    bus = MemoryBus(clock=clock)
    await bus.append(HALT, b"x", msg_id="1")
    clock.advance(119_000_000_000)
    assert (await bus.append(HALT, b"x", msg_id="1")).is_duplicate
    clock.advance(2_000_000_000)
    assert not (await bus.append(HALT, b"x", msg_id="1")).is_duplicate


async def test_a_durable_follower_goes_on_after_what_it_handled() -> None:
    bus = MemoryBus(is_manual=True)
    for number in range(3):
        await bus.append("dora.sim.fill.A", b"%d" % number, msg_id=str(number))
    first, second = Heard(), Heard()
    subscription = await bus.follow("dora.sim.fill.>", first, durable="ledger")
    await bus.pump()
    await subscription.stop()
    await bus.append("dora.sim.fill.A", b"3", msg_id="3")
    await bus.follow("dora.sim.fill.>", second, durable="ledger")
    await bus.pump()
    assert (first.data, second.data) == ([b"0", b"1", b"2"], [b"3"])


async def test_a_handler_that_raises_is_seen_by_whoever_pumps_or_asks() -> None:
    async def fail(_: Message) -> None:
        raise ValueError("our bug")

    manual = MemoryBus(is_manual=True)
    await manual.each(HALT, fail)
    await manual.publish(HALT, b"")
    with pytest.raises(ValueError, match="our bug"):
        await manual.pump()


def test_the_broker_alone_needs_no_event_loop() -> None:
    broker = MemoryBroker(Env.SIM, ManualClock())
    heard: list[Message] = []
    end = broker.listen("dora.sim.ctl.>", None, heard.append)
    ack = broker.append(HALT, b"x", msg_id="1", fence=Fence("dora.sim.ctl.halt.>", 0), headers={})
    assert broker.publish(HALT, b"y") == 2
    end()
    broker.publish(HALT, b"z")
    assert [message.data for message in heard] == [b"x", b"y"]
    assert [message.sequence for message in broker.stored("dora.sim.ctl.>")] == [1, 2, 3]
    assert ack.sequence == 1

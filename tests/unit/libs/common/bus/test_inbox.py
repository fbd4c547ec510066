"""Slots keep the newest, lines keep the order, and a failed handler ends its delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.common.bus.api import Message
from libs.common.bus.inbox import Delivery, Line, Slots
from tests.support.eventually import eventually


class SlotsAgainstHistory(RuleBasedStateMachine):
    """Slots agree with a list that remembers everything and is searched from the end."""

    def __init__(self) -> None:
        super().__init__()
        self.slots: Slots[int] = Slots()
        self.waiting: list[tuple[str, int]] = []
        self.number = 0

    @rule(subject=st.sampled_from("abcd"))
    def put(self, subject: str) -> None:
        self.number += 1
        self.slots.put(subject, self.number)
        names = [name for name, _ in self.waiting]
        if subject in names:
            self.waiting[names.index(subject)] = (subject, self.number)
        else:
            self.waiting.append((subject, self.number))

    @rule()
    def take(self) -> None:
        expected = self.waiting.pop(0)[1] if self.waiting else None
        assert self.slots.take() == expected

    @invariant()
    def sizes_agree(self) -> None:
        assert len(self.slots) == len(self.waiting) <= 4


TestSlotsAgainstHistory = SlotsAgainstHistory.TestCase


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_a_line_keeps_the_newest_in_order_and_counts_the_rest(limit: int, puts: list[bool]) -> None:
    line: Line[int] = Line(limit)
    model: list[int] = []
    lost = 0
    for number, is_put in enumerate(puts):
        if is_put:
            line.put("x", number)
            model.append(number)
            if len(model) > limit:
                model.pop(0)
                lost += 1
        else:
            assert line.take() == (model.pop(0) if model else None)
    assert (len(line), line.lost) == (len(model), lost)


class Box:
    """A delivery over a line of numbers."""

    def __init__(self, handle: Callable[[int], None], limit: int = 100) -> None:
        self.handled: list[int] = []
        self.lost: list[int] = []
        self.failed: list[BaseException] = []
        self._handle = handle
        self.delivery: Delivery[int] = Delivery(
            Line(limit), _message, self._take, self.lost.append, self.failed.append
        )

    async def _take(self, message: Message) -> None:
        number = int(message.data)
        self._handle(number)
        await asyncio.sleep(0)
        self.handled.append(number)

    def put(self, *numbers: int) -> None:
        for number in numbers:
            self.delivery.put("x", number)


def _message(number: int) -> Message:
    return Message("x", b"%d" % number)


def _fine(_: int) -> None:
    return


async def test_messages_are_handled_one_at_a_time_in_order() -> None:
    box = Box(_fine)
    box.delivery.start()
    box.put(1, 2, 3)
    await eventually(lambda: box.handled == [1, 2, 3])
    box.put(4)
    await eventually(lambda: box.handled == [1, 2, 3, 4])
    await box.delivery.stop()


async def test_a_handler_that_raises_is_reported_and_hears_nothing_more() -> None:
    def fail(number: int) -> None:
        if number == 2:
            raise ValueError("two")

    box = Box(fail)
    box.delivery.start()
    box.put(1, 2, 3)
    await eventually(lambda: box.failed)
    await asyncio.sleep(0)
    assert box.handled == [1]
    await box.delivery.stop()


async def test_stopping_drops_what_waits_and_finishing_handles_it() -> None:
    for finish, expected in ((False, [1]), (True, [1, 2, 3])):
        box = Box(_fine)
        box.delivery.start()
        box.put(1, 2, 3)
        await asyncio.sleep(0)
        await box.delivery.stop(finish=finish)
        assert box.handled == expected
        box.put(9)
        await asyncio.sleep(0)
        assert box.handled == expected


async def test_loss_is_reported_before_the_next_message() -> None:
    box = Box(_fine, limit=2)
    box.put(1, 2, 3, 4, 5)
    assert await box.delivery.step()
    assert (box.lost, box.handled) == ([3], [4])


async def test_a_burst_lets_others_run_in_between() -> None:
    box = Box(_fine)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while len(box.handled) < 90:
            turns += 1
            await asyncio.sleep(0)

    box.put(*range(100))
    box.delivery.start()
    await asyncio.wait_for(other(), 5)
    assert turns > 4
    await box.delivery.stop()


async def test_a_handler_may_stop_its_own_delivery() -> None:
    box = Box(_fine)

    async def stop_at_two(message: Message) -> None:
        box.handled.append(int(message.data))
        if message.data == b"2":
            await box.delivery.stop()

    box.delivery._handler = stop_at_two
    box.delivery.start()
    box.put(1, 2, 3)
    await eventually(lambda: box.handled == [1, 2])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    assert box.handled == [1, 2]

"""One writer, proven with real processes: the leader sleeps between journal and send (done-when 3).

Each round: the leader stops itself by SIGSTOP right after an intent was acknowledged, the standby
takes over, the leader is woken. Counted at the venue's own books: orders of the old epoch that
were accepted after it fell asleep. In some rounds the sleeper's own checks stop it; in the others
they are disarmed, it really sends, and the venue must refuse it because its group is triggered.

``TAKEOVER_ROUNDS`` (200) and ``TAKEOVER_LANES`` (4) say how much; each lane is an account with a
NATS server of its own, all trade at one venue.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.executor_pair import QUOTES, Pair, Process, accepted, executor_pair
from tests.support.nats_server import own_server
from tests.support.venue_process import VenueProcess, venue_process

ROUNDS = int(os.environ.get("TAKEOVER_ROUNDS", "200"))
LANES = int(os.environ.get("TAKEOVER_LANES", "4"))
SKEWS_S = (-5.0, 0.0, 5.0)
KINDS = (
    ("disarmed", "quoting"),
    ("checks", "quoting"),
    ("disarmed", "quoting"),
    ("checks", "claimed"),
)
"""Half stopped by its own checks, half by the venue. One in four is woken as soon as the new epoch is
claimed, maybe before the old group is triggered: only its own clock stands between it and the wire."""
GROUP_TRIGGERED = "exceeded_order_group_risk_limit"
EXIT_FENCE_LOST = 75

pytestmark = pytest.mark.timeout(120 + 10 * ROUNDS)


@dataclass
class Tally:
    """What the rounds came to."""

    counts: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@pytest.fixture
def venue(tmp_path: Path) -> Iterator[VenueProcess]:
    with venue_process(tmp_path / "venue") as running:
        yield running


@contextlib.asynccontextmanager
async def a_pair(
    venue: VenueProcess, folder: Path, name: str, *, intent_age_ms: int = 500
) -> AsyncIterator[Pair]:
    with own_server() as nats:
        async with executor_pair(nats, venue, folder, name, intent_age_ms=intent_age_ms) as pair:
            yield pair


async def put_to_sleep(pair: Pair, leader: Process, mode: str) -> int:
    """Let the leader fall asleep with two creates in its hands; return its epoch."""
    pair.want()
    await pair.until_resting(None)
    leader.arm.write_text(mode, encoding="utf-8")
    pair.want(*QUOTES)
    await pair.until_asleep(leader)
    epoch = await pair.epoch()
    assert epoch is not None
    assert epoch.holder == leader.instance, "the sleeper led"
    return epoch.number


async def one_round(
    pair: Pair, leader: Process, standby: Process, kind: tuple[str, str], tally: Tally
) -> bool:
    """Play one round and judge it; return whether it counts."""
    mode, wake = kind
    try:
        old = await put_to_sleep(pair, leader, mode)
    except AssertionError:
        # A machine so busy that an awake leader was silent for the lease: fenced as well, but no round.
        epoch = await pair.epoch()
        if epoch is None or epoch.holder != standby.instance or leader.is_stopped:
            raise
        assert await pair.until_ended(leader) == EXIT_FENCE_LOST, leader.tail()
        tally.counts["takeovers from a leader awake (not counted)"] += 1
        return False
    # From here on nothing of the old epoch may be accepted: it did not send before it fell asleep.
    before = pair.books(ended=True)
    new = (await pair.until_led_by(standby)).number
    if wake == "quoting":
        await pair.until_resting(new)
    leader.wake()
    code = await pair.until_ended(leader)
    await pair.until_resting(new)
    after = pair.books(ended=True)

    known = accepted(before)
    late = [
        order_id
        for order_id, (epoch, created_ns) in accepted(after).items()
        if epoch <= old and (order_id not in known or created_ns > before["now_ms"] * 1_000_000)
    ]
    refused = after["refusals"].get(GROUP_TRIGGERED, 0) - before["refusals"].get(GROUP_TRIGGERED, 0)
    woke = leader.woke()
    told = f"{pair.member.name} epoch {old}, {mode}, woken when {wake}"
    if woke is None or woke.epoch != old or len(woke.clients) != len(QUOTES):
        tally.faults.append(f"{told}: it did not fall asleep with the batch: {woke}")
    elif late:
        tally.faults.append(f"{told}: accepted after it fell asleep: {late}")
    if code != EXIT_FENCE_LOST:
        tally.faults.append(f"{told}: exit code {code}: {leader.tail()}")
    if new <= old:
        tally.faults.append(f"{told}: the new epoch is {new}")
    if mode == "disarmed" and refused < len(QUOTES):
        tally.faults.append(f"{told}: expected {len(QUOTES)} refusals of the venue, was {refused}")
    if mode == "checks":
        if refused:
            tally.faults.append(f"{told}: it sent in spite of its own clock: {refused} refused")
        tally.reasons[leader.stopped_by()] += 1
        if not leader.stopped_by():
            tally.faults.append(f"{told}: none of its checks was asked")
    if any(group["resets"] for group in after["groups"]):
        tally.faults.append(f"{told}: an order group was reset")
    tally.counts["rounds"] += 1
    tally.counts[f"{mode}, woken when {wake}"] += 1
    tally.counts["accepted creates of the old epoch"] += len(late)
    tally.counts["creates the venue refused for their triggered group"] += refused
    return True


async def one_lane(venue: VenueProcess, folder: Path, number: int, rounds: int, tally: Tally) -> None:
    chance = random.Random(number)
    # In odd lanes an intent may be old, so that the gate's own age of the lease has to stop it.
    intent_age_ms = 60_000 if number % 2 else 500
    async with a_pair(venue, folder, f"lane{number}", intent_age_ms=intent_age_ms) as pair:
        leader = pair.start(skew_s=chance.choice(SKEWS_S))
        await pair.until_led_by(leader)
        standby = pair.start(skew_s=chance.choice(SKEWS_S))
        done = 0
        while done < rounds:
            done += await one_round(pair, leader, standby, KINDS[done % len(KINDS)], tally)
            leader, standby = standby, pair.start(skew_s=chance.choice(SKEWS_S))


async def test_nothing_of_the_old_epoch_is_accepted_after_a_takeover(
    venue: VenueProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = Tally()
    share = [ROUNDS // LANES + (lane < ROUNDS % LANES) for lane in range(LANES)]
    async with asyncio.TaskGroup() as lanes:
        for number, rounds in enumerate(share):
            lanes.create_task(one_lane(venue, tmp_path, number, rounds, tally))

    with capsys.disabled():
        sys.stdout.write(f"\ntakeover: {dict(tally.counts)}; stopped by {dict(tally.reasons)}\n")
    assert not tally.faults, "\n".join(tally.faults)
    assert tally.counts["rounds"] == ROUNDS
    assert tally.counts["accepted creates of the old epoch"] == 0


async def test_without_the_trigger_the_woken_leader_would_trade(venue: VenueProcess, tmp_path: Path) -> None:
    """The control: same sleep, same wake, but the standby triggers no group."""
    async with a_pair(venue, tmp_path, "control") as pair:
        leader = pair.start()
        await pair.until_led_by(leader)
        standby = pair.start(SLEEPY_WITHOUT="trigger")
        old = await put_to_sleep(pair, leader, "disarmed")
        before = accepted(pair.books(ended=True))
        new = (await pair.until_led_by(standby)).number
        await pair.until_resting(new)
        leader.wake()

        def late() -> list[str]:
            books = accepted(pair.books(ended=True))
            return [
                order_id for order_id, (epoch, _) in books.items() if epoch == old and order_id not in before
            ]

        await eventually(lambda: len(late()) == len(QUOTES), 10, poll_s=0.05, what="orders of the old epoch")
        assert await pair.until_ended(leader) == EXIT_FENCE_LOST

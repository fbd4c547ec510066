"""The riskguard on a real bus, against the real simulated exchange; the test is everybody else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from libs.common.bus.api import Ack, AppendRefused
from libs.common.bus.nats import NatsBus
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.transport import make_transport
from libs.common.messages.base import encode
from libs.common.messages.control import HaltV1, PermitV1
from libs.common.messages.execution import OrderGroupV1
from libs.common.messages.risk import AuditRiskV1, ExposureV1, PnlV1
from libs.common.runtime.app import App
from libs.common.runtime.clock import SystemClock
from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.limits import Limits
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.exchange import RunningExchange, running_exchange
from tests.support.riskguard_limits import WIDE
from tests.support.truth_apps import (
    ACCOUNT,
    SUBJECTS,
    Ear,
    FakeExecutor,
    ask,
    permits,
    riskguard,
    serving,
)
from tests.support.truth_builders import client_id


@dataclass
class Scene:
    """A bus with a halt of `init`, an exchange, an executor and a reconciler that is content."""

    exchange: RunningExchange
    connect: Connect
    bus: NatsBus
    executor: FakeExecutor
    reader: VenueReader
    market: str
    permits: Ear
    state_dir: Path
    limits: Limits = WIDE
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def guard(self) -> App:
        """Start the riskguard; it ends with the test or with :meth:`restart`."""
        bus = await self.connect("riskguard")
        app = riskguard(self.exchange, bus, self.state_dir, limits=self.limits)
        return await self.stack.enter_async_context(serving(app, bus, "riskguard"))

    async def restart(self) -> App:
        await self.stack.aclose()
        self.permits.heard.clear()
        return await self.guard()

    async def resume(self, **more: object) -> dict[str, object]:
        """Do both steps and return the last answer."""
        who = {"reason": "reviewed", "by": "ann"}
        first = dict(await ask(self.bus, "riskguard", "resume", {**who, **more}))
        if not first["is_accepted"]:
            return first
        return dict(await ask(self.bus, "riskguard", "resume", {**who, "nonce": first["nonce"]}))

    async def opened(self) -> None:
        await eventually(lambda: self.permits.last and self.permits.last.is_open, 10, what="an open permit")

    async def closed(self, word: str) -> None:
        """Return once the permit is closed for a reason that contains the word."""

        def is_closed() -> bool:
            last = self.permits.last
            return last is not None and not last.is_open and any(word in r for r in last.reasons)

        await eventually(is_closed, 10, what=f"a permit closed for {word}")


@pytest.fixture
async def scene(tmp_path: Path, streams_url: str, connect: Connect) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        exchange = await stack.enter_async_context(running_exchange(tmp_path, synthetic_events_per_s=20.0))
        bus = await connect("test")
        reader = VenueReader(
            exchange.at.rest_url, make_transport(exchange.at.rest_url), exchange.signer(), SystemClock()
        )
        executor = FakeExecutor(bus, 0, 0)
        market = (await reader.markets())[0].market
        if await bus.last(SUBJECTS.all_of("ctl.halt")) is None:
            await bus.append(SUBJECTS.of("ctl.halt", "init"), b"born halted", msg_id="init")
        content = asyncio.create_task(_content_reconciler(bus))
        await executor.lead()
        built = Scene(
            exchange,
            connect,
            bus,
            executor,
            reader,
            market,
            await permits(bus, "permit.risk"),
            tmp_path / "state",
        )
        yield built
        await built.stack.aclose()
        content.cancel()
        await executor.die()


async def _content_reconciler(bus: NatsBus) -> None:
    counter = 0
    while True:
        counter += 1
        permit = PermitV1(issuer="reconciler", boot="b", counter=counter, account=ACCOUNT, is_open=True)
        await bus.publish(SUBJECTS.of("permit.recon", ACCOUNT), encode(permit))
        await asyncio.sleep(0.3)


async def test_born_halted_resumed_in_two_steps_halted_by_anything_and_halted_after_a_restart(
    scene: Scene,
) -> None:
    """The life of a latch: each payload halts, a restart forgets nothing, a resume names the newest."""
    await scene.guard()
    await scene.closed("born halted")
    answer = await scene.resume()
    assert answer["is_accepted"], answer
    await scene.opened()
    for payload in (b"", b"fat finger", b'{"reason": 7}', b"\xff\xfe{", encode(HaltV1(reason="polite"))):
        await scene.bus.publish(SUBJECTS.of("ctl.halt", "operator"), payload)
        await scene.closed("halted by operator")
        assert (await scene.resume())["is_accepted"]
        await scene.opened()
    await scene.bus.publish(SUBJECTS.of("ctl.halt", "gateway"), b"stop")
    await scene.closed("halted by gateway")
    await scene.restart()
    await scene.closed("halted by gateway")
    assert (await scene.resume())["is_accepted"]
    await scene.opened()
    await scene.restart()
    await scene.opened()


async def test_a_newer_halt_defeats_an_older_nonce(scene: Scene) -> None:
    await scene.guard()
    await scene.closed("born halted")
    who = {"reason": "reviewed", "by": "ann"}
    first = await ask(scene.bus, "riskguard", "resume", who)
    await scene.bus.append(SUBJECTS.of("ctl.halt", "operator"), b"wait", msg_id="wait")
    second = await ask(scene.bus, "riskguard", "resume", {**who, "nonce": first["nonce"]})
    assert not second["is_accepted"]
    assert await scene.bus.last(SUBJECTS.all_of("ctl.resume")) is None


async def test_the_local_latch_survives_the_loss_of_the_stream(scene: Scene, tmp_path: Path) -> None:
    """A control stream that says running, beside a file that says nothing of it, is not believed."""
    await scene.guard()
    await scene.closed("born halted")
    assert (await scene.resume())["is_accepted"]
    await scene.opened()
    (scene.state_dir / "riskguard-sim-main-latch.json").unlink()
    await scene.restart()
    await scene.closed("local latch")
    newest = await scene.bus.last(SUBJECTS.all_of("ctl.halt"))
    assert newest is not None
    assert newest.subject == SUBJECTS.of("ctl.halt", "riskguard")


async def test_a_limit_that_is_passed_halts_and_refuses_to_resume_until_overruled(scene: Scene) -> None:
    scene.limits = replace(WIDE, position_e2=100)
    results = await Ear.on(scene.bus, SUBJECTS.all_of("risk.pnl"), PnlV1)
    exposures = await Ear.on(scene.bus, SUBJECTS.all_of("risk.exposure"), ExposureV1)
    changes = await Ear.on(scene.bus, SUBJECTS.all_of("audit.risk"), AuditRiskV1)
    app = await scene.guard()
    await scene.closed("born halted")
    assert (await scene.resume())["is_accepted"]
    await scene.opened()
    await scene.exchange.order(scene.market, "bid", "0.9900", "2.00", time_in_force="immediate_or_cancel")
    await scene.closed("position passed")
    await eventually(lambda: app.status().state == "halted")
    refused = await scene.resume()
    assert "still red" in str(refused["refusals"])
    now_ms = SystemClock().now_ns() // 1_000_000
    assert (await scene.resume(override_until_ms=now_ms + 60_000))["is_accepted"]
    await scene.opened()
    limits = await ask(scene.bus, "riskguard", "limits")
    assert limits["now"]["positions"] == {scene.market: 200}
    await eventually(lambda: results.last.fees_e6 > 0 and exposures.last.exposure_e6 > 0)
    await eventually(lambda: "position_limit" in {change.trigger for change in changes.heard})


async def test_the_emergency_lane_triggers_the_groups_of_a_silent_executor(scene: Scene) -> None:
    """Kill the executor with orders in a group: nothing rests soon after, nothing is latched by that."""
    await scene.guard()
    await scene.closed("born halted")
    assert (await scene.resume())["is_accepted"]
    await scene.opened()
    made = await scene.exchange.request(
        "POST", "/portfolio/order_groups/create", {"contracts_limit": 1_000, "exchange_index": 0}
    )
    group_id = made.json()["order_group_id"]
    group = OrderGroupV1(account=ACCOUNT, epoch=1, shard=0, order_group_id=group_id, limit_e2=100_000)
    await scene.executor.append("exec.group", ACCOUNT, group)
    await scene.exchange.order(
        scene.market, "bid", "0.0100", client_order_id=client_id(1), order_group_id=group_id, exchange_index=0
    )
    await scene.executor.die()
    await scene.closed("executor is silent")

    async def is_empty() -> bool:
        return not await scene.reader.orders("resting")

    await eventually(is_empty, 10, poll_s=0.1, what="an empty listing")
    late = await scene.exchange.request(
        "POST",
        "/portfolio/events/orders",
        {
            "ticker": scene.market,
            "side": "bid",
            "price": "0.0100",
            "count": "1.00",
            "time_in_force": "good_till_canceled",
            "self_trade_prevention_type": "taker_at_cross",
            "order_group_id": group_id,
        },
    )
    assert late.status_code >= 400
    await scene.executor.lead()
    await scene.opened()


async def test_orders_without_a_known_group_are_cancelled_all(scene: Scene) -> None:
    await scene.guard()
    await scene.exchange.order(scene.market, "bid", "0.0100", client_order_id=client_id(1))
    await scene.executor.die()

    async def is_empty() -> bool:
        return not await scene.reader.orders("resting")

    await eventually(is_empty, 10, poll_s=0.1, what="an empty listing")


async def test_a_halt_by_endpoint_is_the_same_latch(scene: Scene) -> None:
    await scene.guard()
    await scene.closed("born halted")
    answer = await ask(scene.bus, "riskguard", "halt", {"reason": "by endpoint"})
    newest = await scene.bus.last(SUBJECTS.all_of("ctl.halt"))
    assert newest is not None
    assert answer["halt_sequence"] == newest.sequence


async def test_halt_that_is_too_long_for_the_stream_is_stored_shorter_and_can_be_resumed(
    scene: Scene,
) -> None:
    await scene.guard()
    await scene.closed("born halted")
    assert (await scene.resume())["is_accepted"]
    await scene.opened()
    payload = b'{"reason": "%s"}' % (b"log line " * 20_000)
    await scene.bus.publish(SUBJECTS.of("ctl.halt", "operator"), payload)
    await scene.closed("halted by operator")

    async def is_stored() -> bool:
        newest = await scene.bus.last(SUBJECTS.of("ctl.halt", "riskguard"))
        return newest is not None and b"heard from operator" in newest.data

    await eventually(is_stored, 10, poll_s=0.1, what="a copy that a resume can name")
    answer = await scene.resume()
    assert answer["is_accepted"], answer
    await scene.opened()


async def test_halt_that_the_stream_refuses_holds_up_none_behind_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, tried = NatsBus.append, asyncio.Event()

    async def refusing(bus: NatsBus, subject: str, data: bytes, **more: Any) -> Ack:
        if b"refused" in data:
            tried.set()
            raise AppendRefused("full", is_fence=False)
        return await append(bus, subject, data, **more)

    monkeypatch.setattr(NatsBus, "append", refusing)
    await scene.guard()
    await scene.closed("born halted")
    first = asyncio.create_task(ask(scene.bus, "riskguard", "halt", {"reason": "refused"}))
    await tried.wait()
    answer = await ask(scene.bus, "riskguard", "halt", {"reason": "the one behind it"})
    assert answer["is_stored"]
    assert not (await first)["is_stored"]


async def test_guard_that_fails_withdraws_its_permit_before_it_ends(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scene.guard()
    await scene.closed("born halted")
    assert (await scene.resume())["is_accepted"]
    await scene.opened()

    def failing(*_: object) -> object:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr(RiskguardCore, "on_tick", failing)
    await scene.closed("the riskguard failed")
    with pytest.raises(ExceptionGroup):
        await scene.stack.aclose()


async def test_garbage_changes_nothing(scene: Scene) -> None:
    app = await scene.guard()
    await scene.closed("born halted")
    for family, key in (("md.top", "X"), ("md.status", "X"), ("permit.recon", ACCOUNT)):
        await scene.bus.publish(SUBJECTS.of(family, key), b"\x00garbage")
    await scene.bus.append(SUBJECTS.of("ctl.resume", "operator"), b"resume!", msg_id="garbage")
    await eventually(lambda: app.status().counters["malformed"] >= 4)
    assert "halted by init: born halted" in app.status().reasons

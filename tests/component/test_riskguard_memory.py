"""What the riskguard remembers of a day and what it makes of its balance, on a real bus and a real venue."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.common.bus.nats import NatsBus
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.risk import RiskStateV1
from libs.common.runtime.app import App
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.exchange import RunningExchange, running_exchange
from tests.support.truth_apps import ACCOUNT, SUBJECTS, riskguard, serving
from tests.support.truth_builders import top

STATE = SUBJECTS.of("risk.state", ACCOUNT)
DOLLAR_E6 = 1_000_000


@dataclass
class Scene:
    """A bus, a venue with one quiet market, and a riskguard that is started again and again."""

    exchange: RunningExchange
    connect: Connect
    bus: NatsBus
    market: str
    state_dir: Path

    @contextlib.asynccontextmanager
    async def guard(self) -> AsyncIterator[App]:
        """Run the riskguard until the block ends; it hears the book before it hears anything else."""
        bus = await self.connect("riskguard")
        async with serving(riskguard(self.exchange, bus, self.state_dir), bus, "riskguard") as app:
            await eventually(lambda: app.status().is_ready, 10, what="an account that is read")
            yield app

    async def say(self, bid_e4: int) -> None:
        """Say the book."""
        now_ms = time.time_ns() // 1_000_000
        told = top(self.market, bid_e4=bid_e4, ask_e4=9_000, venue_ms=now_ms, as_of_ms=now_ms)
        await self.bus.publish(SUBJECTS.of("md.top", self.market), encode(told))

    async def buy(self) -> None:
        """Buy a hundred contracts at 50 cents of somebody else."""
        for account, side in (("outsider", "ask"), ("main", "bid")):
            order = {
                "account": account,
                "ticker": self.market,
                "side": side,
                "price": "0.5000",
                "count": "100.00",
                "time_in_force": "good_till_canceled",
                "self_trade_prevention_type": "taker_at_cross",
            }
            await self.exchange.sim("orders", order)

    async def stored(self) -> RiskStateV1 | None:
        """Return the newest record."""
        newest = await self.bus.last(STATE)
        return None if newest is None else WireDecoder(RiskStateV1).decode(newest.data)


@pytest.fixture
async def scene(tmp_path: Path, streams_url: str, connect: Connect) -> AsyncIterator[Scene]:
    del streams_url
    async with running_exchange(tmp_path, synthetic_events_per_s=0.001) as exchange:
        made = await exchange.sim("quiet", {"series": "QUIET", "shard": 0, "count": 1})
        bus = await connect("test")
        yield Scene(exchange, connect, bus, str(made["markets"][0]), tmp_path / "state")


def gauge(app: App, name: str) -> float:
    return app.status().gauges[name]


async def test_the_days_peak_and_its_loss_survive_a_restart(scene: Scene) -> None:
    """Up by twenty dollars, back to three; the next guard knows both, before it hears of any book."""
    async with scene.guard() as app:
        await scene.say(5_000)
        await scene.buy()
        await eventually(lambda: gauge(app, "trades_today") == 1 and gauge(app, "open_positions") == 1)
        paid_e6 = -gauge(app, "day_pnl_e6")
        await scene.say(7_000)
        await eventually(lambda: gauge(app, "day_pnl_e6") == 20 * DOLLAR_E6 - paid_e6)
        peak_e6 = gauge(app, "high_water_e6")
        assert peak_e6 == 20 * DOLLAR_E6 - paid_e6

        async def is_stored() -> bool:
            state = await scene.stored()
            return state is not None and state.high_water_e6 == peak_e6

        await eventually(is_stored, 10, what="a peak that is stored")
        await scene.say(5_300)
        await eventually(lambda: gauge(app, "day_pnl_e6") == 3 * DOLLAR_E6 - paid_e6)
    async with scene.guard() as app:
        await eventually(lambda: gauge(app, "high_water_e6") == peak_e6)
        await scene.say(5_300)
        await eventually(lambda: gauge(app, "day_pnl_e6") == 3 * DOLLAR_E6 - paid_e6)
        assert gauge(app, "high_water_e6") == peak_e6


async def test_a_record_that_cannot_be_read_closes_the_permit_until_it_can(scene: Scene) -> None:
    await scene.bus.append(STATE, b"no such record", msg_id="garbage")
    async with scene.guard() as app:

        def is_told() -> bool:
            return any("stored state could not be read" in reason for reason in app.status().reasons)

        await eventually(is_told)
        other_day = RiskStateV1(
            account=ACCOUNT,
            day_ms=0,
            high_water_e6=10**12,
            open_marks=(),
            shards=(),
            total_high_e6=None,
            moves_since_ms=0,
            moves_used=(),
            as_of_ns=0,
        )
        await scene.bus.append(STATE, encode(other_day), msg_id="other-day")
        await eventually(lambda: not is_told())
        assert gauge(app, "high_water_e6") == 0


async def test_a_record_of_today_behind_one_that_cannot_be_read_is_used(scene: Scene) -> None:
    async with scene.guard() as app:

        async def is_stored() -> bool:
            return await scene.stored() is not None

        await eventually(is_stored, 10)
        day_ms = (await scene.stored() or pytest.fail("no record")).day_ms
        del app
    state = RiskStateV1(
        account=ACCOUNT,
        day_ms=day_ms,
        high_water_e6=77,
        open_marks=(),
        shards=(),
        total_high_e6=None,
        moves_since_ms=0,
        moves_used=(),
        as_of_ns=0,
    )
    await scene.bus.append(STATE, encode(state), msg_id="today")
    await scene.bus.append(STATE, b"no such record", msg_id="garbage")
    async with scene.guard() as app:
        await eventually(lambda: gauge(app, "high_water_e6") == 77)
        assert app.status().counters["malformed"] == 1


async def test_money_that_is_moved_is_no_drop_and_money_that_is_traded_away_is(scene: Scene) -> None:
    """A withdrawal, a transfer and its arrival, a restart between; then a fall of the price."""
    async with scene.guard() as app:
        await eventually(lambda: gauge(app, "equity_e6"), 15, what="a balance that is known")
        before_e6 = gauge(app, "equity_e6")
        await scene.exchange.sim("fundings", {"account": "main", "amount": "-250.00"})
        await eventually(lambda: gauge(app, "equity_e6") == before_e6 - 250 * DOLLAR_E6, 25)
        assert gauge(app, "balance_drop_e6") == 0

        async def is_stored() -> bool:
            state = await scene.stored()
            return state is not None and len(state.moves_used) == 1

        await eventually(is_stored, 10, what="a withdrawal that is stored")
    transfer = {"action": "transfer", "account": "main", "shards": [0, 1], "amount": "100.00", "seconds": 0.1}
    await scene.exchange.sim("switch", transfer)
    async with scene.guard() as app:
        await eventually(lambda: gauge(app, "balance_reads") >= 3, 40, what="three looks at the balance")
        assert gauge(app, "equity_e6") == before_e6 - 250 * DOLLAR_E6
        assert gauge(app, "balance_drop_e6") == 0
        await scene.say(5_000)
        await scene.buy()
        await eventually(lambda: gauge(app, "open_positions") == 1)
        paid_e6 = -gauge(app, "day_pnl_e6")
        await scene.say(4_000)
        await eventually(lambda: gauge(app, "balance_drop_e6") == 10 * DOLLAR_E6 + paid_e6)

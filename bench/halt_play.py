"""Everybody but the executor, played by the measuring process: market data, strategy, permits, operator."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NoReturn

import msgspec

from bench.halt_rig import ACCOUNT, Rig
from libs.common.bus.api import BusError, Message
from libs.common.bus.nats import NatsBus
from libs.common.domain.side import Side
from libs.common.messages.base import WireDecoder, encode
from libs.common.messages.control import HaltV1, PermitV1, ResumeV1
from libs.common.messages.execution import EpochV1, OrderGroupV1
from libs.common.messages.health import StatusV1
from libs.common.messages.market import BandV1, FeeTermsV1, MarketState, MarketV1, TopV1
from libs.common.messages.target import QuoteV1, TargetV1
from libs.common.subjects import Subjects

_EPOCH = WireDecoder(EpochV1)
_GROUP = WireDecoder(OrderGroupV1)
_STATUS = WireDecoder(StatusV1)
_RUN: Final = "20260101-000000-halt"
_PROOF_S: Final = 0.25
_LIFE_MS: Final = 60_000
_CLOSE_MS: Final = 7 * 86_400_000
_LOAD_S: Final = 0.01
QUOTES: Final = (
    QuoteV1(side=Side.BID, price_e4=4_500, qty_e2=100),
    QuoteV1(side=Side.ASK, price_e4=5_500, qty_e2=100),
)


class Players:
    """What the executor hears, and what it says."""

    def __init__(self, rig: Rig, bus: NatsBus, subjects: Subjects) -> None:
        self._rig = rig
        self._bus = bus
        self._subjects = subjects
        self._counter: Iterator[int] = itertools.count(1)
        self.epoch = 0
        self.groups: dict[int, str] = {}
        self.intents = asyncio.Event()
        self.load_per_s = 0
        self.published = 0

    async def listen(self) -> None:
        """Follow what the executor journals."""
        await self._bus.each(self._subjects.of("exec.epoch", ACCOUNT), self._on_epoch)
        await self._bus.each(self._subjects.of("exec.group", ACCOUNT), self._on_group)
        await self._bus.each(self._subjects.of("exec.intent", ACCOUNT), self._on_intent)

    async def prove(self) -> NoReturn:
        """Keep permits and books fresh, for ever."""
        while True:
            await self.permits()
            for market, shard in self._rig.markets.items():
                await self._publish("md.status", market, self._status_of(market, shard))
                await self._publish("md.top", market, self._top_of(market, shard))
            await asyncio.sleep(_PROOF_S)

    async def load(self) -> NoReturn:
        """Publish targets that change nothing, and touches, at the wanted rate, for ever."""
        markets = itertools.cycle(self._rig.markets.items())
        began_s, due = time.monotonic(), 0.0
        while True:
            await asyncio.sleep(_LOAD_S)
            now_s = time.monotonic()
            due += self.load_per_s * (now_s - began_s)
            began_s = now_s
            # A loop that was late catches up, but not with a burst that no feed has.
            due = min(due, self.load_per_s / 4)
            while due >= 2:
                due -= 2
                market, shard = next(markets)
                await self._publish("md.top", market, self._top_of(market, shard))
                await self._publish("target", market, self._target_of(market))
                self.published += 2

    async def permits(self) -> None:
        """Publish both permits for the epoch that was last heard of."""
        for issuer in ("risk", "recon"):
            permit = PermitV1(
                issuer=issuer,
                boot="b",
                counter=next(self._counter),
                account=ACCOUNT,
                is_open=True,
                epoch=self.epoch,
            )
            await self._bus.publish(self._subjects.of(f"permit.{issuer}", ACCOUNT), encode(permit))

    async def targets(self, markets: Sequence[str], *, quotes: tuple[QuoteV1, ...] = QUOTES) -> None:
        """Want the same quotes in each of these markets, or none."""
        for market in markets:
            await self._publish("target", market, self._target_of(market, quotes))

    async def halt(self) -> tuple[int, int]:
        """Halt as an operator does; return when, by the wall clock and by the monotonic one."""
        payload = encode(HaltV1(reason="bench", by="bench"))
        subject = self._subjects.of("ctl.halt", "operator")
        at = time.time_ns(), time.monotonic_ns()
        await self._bus.publish(subject, payload)
        return at

    async def resume(self) -> None:
        """Resume as riskguard writes it, naming the newest halt."""
        newest = await self._bus.last(self._subjects.all_of("ctl.halt"))
        assert newest is not None, "born halted"
        resume = ResumeV1(
            halt_sequence=newest.sequence,
            nonce=f"bench-{newest.sequence}",
            reason="bench",
            by="bench",
            expires_ms=time.time_ns() // 1_000_000 + _LIFE_MS,
            env=self._subjects.env.value,
            account=ACCOUNT,
        )
        await self._bus.append(
            self._subjects.of("ctl.resume", "riskguard"), encode(resume), msg_id=f"r-{newest.sequence}"
        )

    async def status(self) -> StatusV1:
        """Return the executor's own word.

        Raises:
            BusError: It does not answer.
        """
        answer = await self._bus.request(self._subjects.of("svc", "executor", "status"), b"", timeout_s=5)
        return _STATUS.decode(answer.data)

    async def until(
        self,
        condition: Callable[[StatusV1], bool],
        what: str,
        *,
        timeout_s: float = 30.0,
        poll_s: float = 0.03,
    ) -> StatusV1:
        """Return the first status for which the condition holds."""
        deadline = time.monotonic() + timeout_s
        last = ""
        while time.monotonic() < deadline:
            try:
                seen = await self.status()
            except BusError as e:
                last = str(e)
            else:
                if condition(seen):
                    return seen
                last = f"{seen.state} {seen.reasons} {msgspec.json.encode(seen.gauges).decode()}"
            await asyncio.sleep(poll_s)
        raise TimeoutError(f"{what} within {timeout_s:.0f} s; last: {last}; {self._rig.log_end()}")

    async def _publish(self, family: str, key: str, message: MarketV1 | TopV1 | TargetV1) -> None:
        await self._bus.publish(self._subjects.of(family, key), encode(message))

    async def _on_epoch(self, message: Message) -> None:
        self.epoch = _EPOCH.decode(message.data).number
        self.groups.clear()
        await self.permits()

    async def _on_group(self, message: Message) -> None:
        group = _GROUP.decode(message.data)
        if group.epoch == self.epoch:
            self.groups[group.shard] = group.order_group_id

    async def _on_intent(self, message: Message) -> None:
        del message
        self.intents.set()

    def _status_of(self, market: str, shard: int) -> MarketV1:
        event = market.rpartition("-")[0]
        return MarketV1(
            market=market,
            event=event,
            series=event.partition("-")[0],
            shard=shard,
            state=MarketState.ACTIVE,
            title=market,
            grid=(BandV1(start_e4=0, end_e4=10_000, step_e4=100),),
            fee=FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
            open_ms=0,
            close_ms=_now_ms() + _CLOSE_MS,
            is_exclusive_event=False,
            can_close_early=False,
            trading_active=True,
            sequence=next(self._counter),
            producer=_RUN,
        )

    def _top_of(self, market: str, shard: int) -> TopV1:
        now_ms = _now_ms()
        return TopV1(
            market=market,
            event=market.rpartition("-")[0],
            shard=shard,
            state=MarketState.ACTIVE,
            trading_active=True,
            bid_e4=4_500,
            bid_e2=1_000,
            ask_e4=5_500,
            ask_e2=1_000,
            last_e4=None,
            close_ms=now_ms + _CLOSE_MS,
            is_stale=False,
            venue_ms=now_ms,
            as_of_ms=now_ms,
            sequence=next(self._counter),
            producer=_RUN,
        )

    def _target_of(self, market: str, quotes: tuple[QuoteV1, ...] = QUOTES) -> TargetV1:
        now_ms, number = _now_ms(), next(self._counter)
        return TargetV1(
            market=market,
            event=market.rpartition("-")[0],
            strategy="bench/1",
            decision_id=f"bench:{market}:{number}",
            config_revision=1,
            book_producer=_RUN,
            book_sequence=number,
            book_venue_ms=now_ms,
            book_as_of_ms=now_ms,
            position_epoch=1,
            position_sequence=1,
            quotes=quotes,
            silences=(),
            stages=(),
            fair_e4=5_000.0,
            expires_ms=now_ms + _LIFE_MS,
            origin_mono_ns=time.monotonic_ns(),
        )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

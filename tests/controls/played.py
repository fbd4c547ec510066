"""Everybody whom the rig does not run, played on the real bus: marketdata, strategy, reconciler.

A provocation changes what they say by changing the attributes; the next round of words is at
most half a second away, or at once with :meth:`Played.say_tops`, :meth:`Played.say_permit` and so on.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import msgspec

from libs.common.bus.api import BusError, Message
from libs.common.bus.nats import NatsBus
from libs.common.domain.side import Side
from libs.common.messages.base import Wire, WireDecoder, encode
from libs.common.messages.control import PermitV1
from libs.common.messages.execution import EpochV1
from libs.common.messages.health import BeatV1
from libs.common.messages.market import BandV1, FeeTermsV1, MarketState, MarketV1, TopV1
from libs.common.messages.risk import DriftV1, ReconResultV1
from libs.common.messages.target import QuoteV1, TargetV1
from libs.common.subjects import Subjects
from tests.controls.processes import BUILD

ACCOUNT: Final = "main"
RUN: Final = "20260101-000000-controls"
QUOTES: Final = (
    QuoteV1(side=Side.BID, price_e4=4_500, qty_e2=1_000),
    QuoteV1(side=Side.ASK, price_e4=5_500, qty_e2=1_000),
)
_BEAT_S: Final = 0.5
_PERMIT_S: Final = 0.4
_STATUS_S: Final = 1.0
_TARGET_S: Final = 0.5
_RECON_S: Final = 2.0
_LIFE_MS: Final = 10_000
_CLOSE_MS: Final = 7 * 86_400_000
_EPOCH: Final = WireDecoder(EpochV1)


@dataclass
class PlayedMarket:
    """What marketdata says about one market; change it and it is said so from the next time on.

    Attributes:
        bid_e4, ask_e4, bid_e2, ask_e2: The touch, 1/10,000 dollar and 1/100 contract.
        last_e4: Last trade, None if never.
        age_ms: How far the book's exchange time lies behind now; negative is ahead.
        is_stale: The producer's own word.
        top: Further fields of `TopV1` to replace.
        status: Further fields of `MarketV1` to replace, e.g. ``{"fee": …}`` or ``{"close_ms": …}``.
        is_silent: Nothing is said about this market.
    """

    name: str
    shard: int
    bid_e4: int | None = 4_500
    ask_e4: int | None = 5_500
    bid_e2: int = 100_000
    ask_e2: int = 100_000
    last_e4: int | None = None
    age_ms: int = 0
    is_stale: bool = False
    is_silent: bool = False
    top: dict[str, Any] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)

    @property
    def event(self) -> str:
        """Return the event's ticker."""
        return self.name.rpartition("-")[0]

    @property
    def series(self) -> str:
        """Return the series' ticker."""
        return self.name.partition("-")[0]


@dataclass
class PlayedBeat:
    """One played service's heartbeat; change the fields, or ``is_silent`` to let it be dead."""

    service: str
    instance: str
    build: str = BUILD
    config_hash: str = "played"
    run: str = RUN
    is_ready: bool = True
    is_silent: bool = False
    counter: int = 0


class Played:
    """The three services and the words they say.

    Attributes:
        markets: By name; every market here has its book said twice a second.
        quotes: What strategy wants, by market; a market not in here has no target.
        beats: By service: ``marketdata``, ``strategy``, ``reconciler``.
        is_recon_open: Whether the reconciler vouches.
        recon_reasons: Why not.
        drifts: What its comparisons find; without any they are clear. Further fields in ``recon``.
        epoch: The newest epoch that the executor journalled.
        is_recon_silent: No permit and no result.
        is_books_silent: No book of any market.
    """

    def __init__(self, bus: NatsBus, subjects: Subjects) -> None:
        self.bus = bus
        self.subjects = subjects
        self._numbers: Iterator[int] = itertools.count(1)
        self._cycles: Iterator[int] = itertools.count(1)
        self.markets: dict[str, PlayedMarket] = {}
        self.quotes: dict[str, tuple[QuoteV1, ...]] = {}
        self.target: dict[str, Any] = {}
        self.epoch = 0
        self.reset()

    def reset(self) -> None:
        """Say what healthy services say; markets and quotes stay."""
        self.beats = {
            name: PlayedBeat(name, f"{name}-played") for name in ("marketdata", "strategy", "reconciler")
        }
        self.is_recon_open = True
        self.is_recon_silent = False
        self.is_books_silent = False
        self.recon_reasons: tuple[str, ...] = ()
        self.drifts: tuple[DriftV1, ...] = ()
        self.recon: dict[str, Any] = {}
        self.target = {}
        for name, market in self.markets.items():
            self.markets[name] = PlayedMarket(name, market.shard)

    def add(self, name: str, shard: int) -> PlayedMarket:
        """Begin to say the book of a market."""
        market = self.markets[name] = PlayedMarket(name, shard)
        return market

    async def run(self) -> NoReturn:
        """Listen for epochs and play until cancelled; a lost bus is waited for."""
        await self.bus.each(self.subjects.of("exec.epoch", ACCOUNT), self._on_epoch)
        async with asyncio.TaskGroup() as tasks:
            for pause_s, say in (
                (_PERMIT_S, self.say_permit),
                (_BEAT_S, self.say_beats),
                (_BEAT_S, self.say_tops),
                (_STATUS_S, self.say_statuses),
                (_TARGET_S, self.say_targets),
                (_RECON_S, self.say_recon),
            ):
                tasks.create_task(_every(pause_s, say))
        raise AssertionError("plays until cancelled")

    # Words -----------------------------------------------------------------------------------------

    async def say_permit(self) -> float:
        """Publish the reconciler's permit; return the moment before."""
        before_s = time.monotonic()
        if not self.is_recon_silent:
            permit = PermitV1(
                issuer="recon",
                boot="played",
                counter=next(self._numbers),
                account=ACCOUNT,
                is_open=self.is_recon_open,
                reasons=self.recon_reasons,
                epoch=self.epoch,
            )
            await self.publish("permit.recon", ACCOUNT, permit)
        return before_s

    async def say_beats(self) -> float:
        """Publish the heartbeats; return the moment before."""
        before_s = time.monotonic()
        for beat in self.beats.values():
            if not beat.is_silent:
                beat.counter += 1
                message = BeatV1(
                    service=beat.service,
                    instance=beat.instance,
                    run=beat.run,
                    counter=beat.counter,
                    is_ready=beat.is_ready,
                    build=beat.build,
                    config_hash=beat.config_hash,
                )
                await self.bus.publish(
                    self.subjects.of("health.beat", beat.service, beat.instance), encode(message)
                )
        return before_s

    async def say_tops(self) -> float:
        """Publish the touch of every market; return the moment before."""
        before_s = time.monotonic()
        if not self.is_books_silent:
            for market in list(self.markets.values()):
                if not market.is_silent:
                    await self.publish("md.top", market.name, self.top_of(market))
        return before_s

    async def say_statuses(self) -> float:
        """Publish what every market is; return the moment before."""
        before_s = time.monotonic()
        if not self.is_books_silent:
            for market in list(self.markets.values()):
                if not market.is_silent:
                    await self.publish("md.status", market.name, self.status_of(market))
        return before_s

    async def say_targets(self) -> float:
        """Publish what strategy wants; return the moment before."""
        before_s = time.monotonic()
        for name, quotes in list(self.quotes.items()):
            await self.publish("target", name, self.target_of(self.markets[name], quotes))
        return before_s

    async def say_recon(self) -> float:
        """Store the result of one comparison; return the moment before."""
        before_s = time.monotonic()
        if not self.is_recon_silent:
            fields: dict[str, Any] = {
                "account": ACCOUNT,
                "cycle": next(self._cycles),
                "epoch": self.epoch,
                "reason": "timer",
                "orphaned_detected": 0,
                "ghost_detected": 0,
                "reconciled": 0,
                "errors": (),
                "drifts": self.drifts,
                "position_residual_e2": 0,
                "cash_residual_e6": 0,
                "took_ms": 1,
                "as_of_ns": time.time_ns(),
            }
            result = ReconResultV1(**{**fields, **self.recon})
            family = "recon.drift" if self.drifts else "recon.clear"
            await self.append(family, ACCOUNT, result)
        return before_s

    async def publish(self, family: str, key: str, message: Wire) -> None:
        """Publish any message on core NATS."""
        await self.bus.publish(self.subjects.of(family, key), encode(message))

    async def append(self, family: str, key: str, message: Wire) -> int:
        """Append any message to its stream and return its sequence."""
        msg_id = f"played-{next(self._numbers)}"
        ack = await self.bus.append(self.subjects.of(family, key), encode(message), msg_id=msg_id)
        return ack.sequence

    # Messages, for provocations that want a single one ------------------------------------------------

    def top_of(self, market: PlayedMarket, **changes: object) -> TopV1:
        """Return the touch as marketdata would say it now."""
        now_ms = _now_ms() - market.age_ms
        top = TopV1(
            market=market.name,
            event=market.event,
            shard=market.shard,
            state=MarketState.ACTIVE,
            trading_active=True,
            bid_e4=market.bid_e4,
            bid_e2=market.bid_e2,
            ask_e4=market.ask_e4,
            ask_e2=market.ask_e2,
            last_e4=market.last_e4,
            close_ms=_now_ms() + _CLOSE_MS,
            is_stale=market.is_stale,
            venue_ms=now_ms,
            as_of_ms=now_ms,
            sequence=next(self._numbers),
            producer=RUN,
        )
        return msgspec.structs.replace(top, **{**market.top, **changes})

    def status_of(self, market: PlayedMarket, **changes: object) -> MarketV1:
        """Return what the market is as marketdata would say it now."""
        status = MarketV1(
            market=market.name,
            event=market.event,
            series=market.series,
            shard=market.shard,
            state=MarketState.ACTIVE,
            title=market.name,
            grid=(BandV1(start_e4=0, end_e4=10_000, step_e4=100),),
            fee=FeeTermsV1(fee_type="quadratic", multiplier_e4=10_000),
            open_ms=0,
            close_ms=_now_ms() + _CLOSE_MS,
            is_exclusive_event=False,
            can_close_early=False,
            trading_active=True,
            sequence=next(self._numbers),
            producer=RUN,
        )
        return msgspec.structs.replace(status, **{**market.status, **changes})

    def target_of(self, market: PlayedMarket, quotes: tuple[QuoteV1, ...]) -> TargetV1:
        """Return a target as strategy would say it now."""
        now_ms, number = _now_ms(), next(self._numbers)
        target = TargetV1(
            market=market.name,
            event=market.event,
            strategy="controls/1",
            decision_id=f"controls:{market.name}:{number}",
            config_revision=1,
            book_producer=RUN,
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
        return msgspec.structs.replace(target, **self.target)

    async def _on_epoch(self, message: Message) -> None:
        self.epoch = max(self.epoch, _EPOCH.decode(message.data).number)
        await self.say_permit()


async def _every(pause_s: float, say: Any) -> NoReturn:
    while True:
        try:
            await say()
        except BusError:
            # The bus is somebody's provocation: what was to be said is said again soon.
            await asyncio.sleep(0.05)
        await asyncio.sleep(pause_s)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000

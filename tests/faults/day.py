"""One short day of the executor's with every kind of request and trouble, and everybody else in it.

The script goes by the clock and not by what the executor does: whatever becomes of the
executor, the day goes on. Only while somebody sleeps it waits, so that the sleeper is
woken into the world that it knew: what it then sends must be stopped by the fences and
not by a halt that came meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NoReturn

from libs.common.bus.memory import MemoryBroker
from libs.common.domain.side import Side
from libs.common.messages.base import encode
from libs.common.messages.control import HaltV1, PermitV1
from libs.common.messages.execution import EpochV1, RenewV1
from libs.common.messages.market import BandV1
from libs.common.messages.target import QuoteV1
from libs.common.subjects import Subjects
from tests.faults.auditor import Auditor
from tests.faults.exchange import ACCOUNT, EVENTS, MS, SHARDS, A, B, C, Exchange
from tests.faults.machine import START_NS, WorldClock
from tests.support.bus import ENV
from tests.support.executor_builders import a_status, a_target, a_top
from tests.support.resumes import a_resume

_CENTS: Final = (BandV1(start_e4=0, end_e4=10_000, step_e4=100),)
_CLOSE_MS: Final = START_NS // MS + 86_400_000
_EVERY_EPOCH: Final = 1_000_000
_NAMES: Final = {"a": A, "b": B, "c": C}
Quotes = dict[str, tuple[QuoteV1, ...]]


class Day:
    """The script, and marketdata, strategy, riskguard, reconciler and operator.

    Attributes:
        wanted: What the strategy wants now.
        is_over: True once the script has nothing more to do.
    """

    def __init__(
        self,
        exchange: Exchange,
        broker: MemoryBroker,
        clock: WorldClock,
        auditor: Auditor,
        has_sleeper: Callable[[], bool],
    ) -> None:
        self._exchange = exchange
        self._broker = broker
        self._clock = clock
        self._auditor = auditor
        self._has_sleeper = has_sleeper
        self._subjects = Subjects(ENV)
        self._sequence = self._permits = 0
        self.wanted: Quotes = {}
        self.is_over = False

    def begin(self) -> None:
        """Leave what was before the day: a halt lifted, and an earlier leader that ended in order."""
        self._control("ctl.halt", "init", encode(HaltV1(reason="born halted")))
        self.resume()
        cash_e6 = sum(self._exchange.venue.accounts[ACCOUNT].cash_e6.values())
        epoch = EpochV1(
            account=ACCOUNT,
            number=1,
            holder="before",
            run="20261121-080000-test",
            build="test",
            config_hash="0" * 12,
            started_ns=START_NS,
            genesis_balance_e6=cash_e6,
            genesis_ms=START_NS // MS,
        )
        renew = RenewV1(account=ACCOUNT, epoch=1, holder="before", counter=1, is_released=True)
        for family, message in (("exec.epoch", epoch), ("exec.renew", renew)):
            subject = self._subjects.of(family, ACCOUNT)
            self._broker.append(subject, encode(message), msg_id=family, fence=None, headers={})

    async def play(self) -> NoReturn:
        """Live through the day."""
        await self._later(0.3)
        # Two groups, then a batch of six; the first is hit before its answer is read.
        self._exchange.on_create.append(lambda: self._exchange.take(A, Side.ASK, 200))
        self._want(
            a=(bid(4_500, 500), ask(5_500, 500)),
            b=(bid(4_600, 400), ask(5_400, 400)),
            c=(bid(4_400, 300), ask(5_600, 300)),
        )
        await self._later(0.09)
        # A decrease, amends, a cancel, a replacement near the touch; and a fill that crosses them.
        self._want(
            a=(bid(4_500, 200), ask(5_600, 500)),
            b=(ask(5_400, 600),),
            c=(bid(5_900, 300),),
        )
        await self._later(0.002)
        self._exchange.take(C, Side.BID, 100)
        await self._later(0.088)
        # A create whose answer is lost after the venue took it.
        self._exchange.creates_to_cut = 1
        self._want(b=(bid(4_600, 400), ask(5_400, 600)), c=(bid(4_400, 300),))
        await self._later(0.16)
        self._exchange.creates_to_cut = 0
        # An operator halts while a batch is on its way, or a while later if none is.
        self._exchange.on_create.append(self._halt)
        self._want(a=(bid(4_300, 300), ask(5_900, 300)), c=(bid(4_300, 200), ask(5_700, 200)))
        await self._later(0.12)
        self._exchange.on_create.clear()
        if self._auditor.halted_ns is None:
            self._halt()
        await self._later(0.12)
        self.resume()
        await self._later(0.05)
        self.is_over = True
        while True:
            # A halt that only a dead executor had heard is stored by the next one in its own name: asked
            # again, the operator resumes again.
            await asyncio.sleep(0.1)
            self._resume_what_is_open()

    async def prove(self) -> NoReturn:
        """Be riskguard and reconciler: say twice a second that trading is fine."""
        while True:
            for issuer in ("risk", "recon"):
                self._permits += 1
                permit = PermitV1(
                    issuer=issuer,
                    boot="b",
                    counter=self._permits,
                    account=ACCOUNT,
                    is_open=True,
                    epoch=_EVERY_EPOCH,
                )
                self._broker.publish(self._subjects.of(f"permit.{issuer}", ACCOUNT), encode(permit))
            await asyncio.sleep(0.25)

    async def show(self) -> NoReturn:
        """Be marketdata."""
        while True:
            await asyncio.sleep(0.2)
            for market in SHARDS:
                place = {"event": EVENTS[market], "shard": SHARDS[market], "close_ms": _CLOSE_MS}
                status = a_status(market, grid=_CENTS, **place)
                top = a_top(market, bid_e4=4_000, ask_e4=6_000, as_of_ms=self._now_ms(), **place)
                self._broker.publish(self._subjects.of("md.status", market), encode(status))
                self._broker.publish(self._subjects.of("md.top", market), encode(top))

    async def decide(self) -> NoReturn:
        """Be the strategy: say again and again what is wanted."""
        while True:
            self._say_targets()
            await asyncio.sleep(0.2)

    def resume(self) -> None:
        """Resume by naming the newest halt."""
        newest = self._broker.newest(self._subjects.all_of("ctl.halt"))
        assert newest is not None
        nonce = f"nonce-{newest.sequence}"
        resume = a_resume(newest.sequence, nonce=nonce, account=ACCOUNT, at_ms=self._now_ms())
        self._auditor.halted_ns = None
        self._control("ctl.resume", "operator", encode(resume))

    def _resume_what_is_open(self) -> None:
        halt, resume = (self._broker.newest(self._subjects.all_of(f)) for f in ("ctl.halt", "ctl.resume"))
        if halt is not None and resume is not None and halt.sequence > resume.sequence:
            self.resume()

    def _halt(self) -> None:
        self._auditor.halted_ns = self._clock.now_ns()
        self._control("ctl.halt", "operator", b"fat finger")

    def _control(self, family: str, source: str, data: bytes) -> None:
        self._broker.publish(self._subjects.of(family, source), data)

    def _want(self, **quotes: tuple[QuoteV1, ...]) -> None:
        self.wanted |= {_NAMES[name]: of_market for name, of_market in quotes.items()}
        self._say_targets()

    def _say_targets(self) -> None:
        for market, quotes in self.wanted.items():
            self._sequence += 1
            target = a_target(
                *quotes,
                market=market,
                sequence=self._sequence,
                event=EVENTS[market],
                expires_ms=self._now_ms() + 600_000,
                origin_mono_ns=self._clock.mono_ns(),
            )
            self._broker.publish(self._subjects.of("target", market), encode(target))

    def _now_ms(self) -> int:
        return self._clock.now_ns() // MS

    async def _later(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        while self._has_sleeper():
            await asyncio.sleep(0.005)


def bid(price_e4: int, qty_e2: int) -> QuoteV1:
    """Return a bid."""
    return QuoteV1(side=Side.BID, price_e4=price_e4, qty_e2=qty_e2)


def ask(price_e4: int, qty_e2: int) -> QuoteV1:
    """Return an ask."""
    return QuoteV1(side=Side.ASK, price_e4=price_e4, qty_e2=qty_e2)

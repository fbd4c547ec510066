"""Synthetic flow: traders around a probability that nobody but they can know.

Each event has a latent state that is a martingale in log-odds (with the drift
that keeps the probability one, `strategy.md` 5.2) and jumps now and then. Three
kinds of accounts trade it with ordinary orders through the venue's FIFO books:

* **makers** keep a ladder of quotes around a slow, noisy view of it, and move
  single rungs; they are the visible book;
* **noise** traders take either side, or place and take back passive orders;
* **informed** traders know the present probability and take whatever is priced
  worse than it by more than their fee.

In a mutually exclusive event the outcomes' probabilities always add up to one.
Everything follows from the seed and the number of steps: one step is one act of
one trader, time is an argument and never decides what is done. The generator is
handed in, because a core draws no chance of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.domain.units import CONTRACT_E2, DOLLAR_E4, PriceE4
from libs.common.messages.market import MarketState
from services.simexchange.core.orders import TimeInForce
from services.simexchange.core.requests import CreateRequest, OrderRef, Placed
from services.simexchange.core.venue import Venue

MAKERS: Final = ("sim-maker-1", "sim-maker-2", "sim-maker-3")
NOISE: Final = "sim-noise"
INFORMED: Final = "sim-informed"
TRADERS: Final = (*MAKERS, NOISE, INFORMED)

RUNGS: Final = 6
"""Quotes that a maker keeps on each side."""
NOISE_RESTING_MAX: Final = 24
IOC: Final = TimeInForce.IMMEDIATE_OR_CANCEL
_LOGIT_MAX: Final = 4.6
"""About one and 99 cents: beyond it there is little to trade."""


class Rng(Protocol):
    """A seeded generator; `random.Random` fits."""

    def random(self) -> float:
        """Return a number from 0 up to 1."""
        ...

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """Return a normal number."""
        ...

    def randint(self, a: int, b: int) -> int:
        """Return a whole number of a to b."""
        ...


@dataclass(slots=True)
class Latent:
    """The hidden log-odds of an event's outcomes; one outcome stands alone, several add up to one."""

    logits: list[float]
    volatility: float
    jump_chance: float
    jump_size: float

    def move(self, rng: Rng) -> None:
        """Take one step in the life of the event."""
        for i, x in enumerate(self.logits):
            p = _logistic(x)
            step = (p - 0.5) * self.volatility**2 + self.volatility * rng.gauss()
            if rng.random() < self.jump_chance:
                step += self.jump_size * rng.gauss()
            self.logits[i] = max(-_LOGIT_MAX, min(_LOGIT_MAX, x + step))

    def probabilities(self) -> list[float]:
        """Return the probability of each outcome."""
        if len(self.logits) == 1:
            return [_logistic(self.logits[0])]
        weights = [math.exp(x) for x in self.logits]
        total = sum(weights)
        return [w / total for w in weights]


@dataclass(slots=True)
class _Rung:
    """A resting order of a trader."""

    account: str
    order_id: str
    side: Side
    price_e4: int


@dataclass(slots=True)
class _Desk:
    """What the traders remember of one market."""

    market: str
    event: _EventFlow
    outcome: int
    views: list[float]
    """Each maker's own idea of the probability, behind and beside the truth."""
    rungs: list[_Rung] = field(default_factory=list)
    passive: list[_Rung] = field(default_factory=list)


@dataclass(slots=True)
class _EventFlow:
    latent: Latent
    desks: list[_Desk] = field(default_factory=list)


class SyntheticFlow:
    """See the module. ``step`` is one act; the caller decides when."""

    def __init__(self, venue: Venue, rng: Rng) -> None:
        self._venue = venue
        self._rng = rng
        self._desks: list[_Desk] = []
        self._events: list[_EventFlow] = []
        self.steps = 0
        self.orders = 0

    def open_accounts(self, now_ns: int) -> None:
        """Give the traders their accounts: internal, so their money is endless and their orders free."""
        for name in TRADERS:
            self._venue.add_account(name, cash_by_shard={}, now_ns=now_ns, is_internal=True)

    def add_event(self, markets: Sequence[str], latent: Latent) -> None:
        """Trade these markets, the outcomes of one event in the latent's order."""
        flow = _EventFlow(latent)
        for outcome, market in enumerate(markets):
            p = latent.probabilities()[outcome]
            desk = _Desk(market, flow, outcome, [p] * len(MAKERS))
            flow.desks.append(desk)
            self._desks.append(desk)
        self._events.append(flow)

    def fill_books(self, now_ns: int) -> None:
        """Let every maker place its whole ladder, so that the books are there from the start."""
        for desk in self._desks:
            for _ in range(RUNGS * 2 * len(MAKERS)):
                self._make(desk, now_ns)

    def step(self, now_ns: int) -> None:
        """Let one trader act in one market."""
        self.steps += 1
        if not self._desks:
            return
        desk = self._desks[self._rng.randint(0, len(self._desks) - 1)]
        act = self._rng.random()
        if act < 0.12:
            desk.event.latent.move(self._rng)
        market = self._venue.markets[desk.market]
        if market.state is not MarketState.ACTIVE:
            return
        if act < 0.78:
            self._make(desk, now_ns)
        elif act < 0.90:
            self._place_or_take_back(desk, now_ns)
        elif act < 0.955:
            self._take_blindly(desk, now_ns)
        else:
            self._take_knowingly(desk, now_ns)

    def probability(self, market: str) -> float:
        """Return the latent probability of a market, for its settlement and for tests."""
        desk = next(d for d in self._desks if d.market == market)
        return desk.event.latent.probabilities()[desk.outcome]

    def results(self) -> Mapping[str, str]:
        """Draw the outcome of every event from its latent probabilities: yes or no by market."""
        drawn: dict[str, str] = {}
        for flow in self._events:
            ps = flow.latent.probabilities()
            point = self._rng.random()
            if len(ps) == 1:
                drawn[flow.desks[0].market] = "yes" if point < ps[0] else "no"
                continue
            winner = 0
            while winner < len(ps) - 1 and point >= ps[winner]:
                point -= ps[winner]
                winner += 1
            for desk in flow.desks:
                drawn[desk.market] = "yes" if desk.outcome == winner else "no"
        return drawn

    # Traders ---------------------------------------------------------------------------------------

    def _make(self, desk: _Desk, now_ns: int) -> None:
        """Let one maker move one rung of its ladder to where its view wants it."""
        rng = self._rng
        who = rng.randint(0, len(MAKERS) - 1)
        maker = MAKERS[who]
        truth = desk.event.latent.probabilities()[desk.outcome]
        desk.views[who] += 0.3 * (truth - desk.views[who]) + 0.002 * rng.gauss()
        self._forget_gone(desk.rungs)
        side = Side.BID if rng.random() < 0.5 else Side.ASK
        mine = [r for r in desk.rungs if r.account == maker and r.side is side]
        if len(mine) >= RUNGS:
            # The rung farthest from the view moves; the others keep their place in the queue.
            centre_e4 = desk.views[who] * DOLLAR_E4
            stale = max(mine, key=lambda r: abs(r.price_e4 - centre_e4))
            self._venue.cancel(maker, OrderRef(stale.order_id, desk.market), now_ns)
            desk.rungs.remove(stale)
            self._drop(maker, stale.order_id)
        grid = self._venue.markets[desk.market].grid
        distance_e4 = 60 + who * 20 + abs(rng.gauss()) * 160
        price_e4 = _outward(grid, side, desk.views[who] * DOLLAR_E4 - side.sign * distance_e4)
        if price_e4 is None:
            return
        qty_e2 = rng.randint(5, 120) * CONTRACT_E2
        request = CreateRequest(desk.market, side, price_e4, qty_e2, post_only=True)
        self._rest(desk.rungs, maker, request, now_ns)

    def _place_or_take_back(self, desk: _Desk, now_ns: int) -> None:
        """Let a noise trader join the book somewhere, or think better of it."""
        rng = self._rng
        self._forget_gone(desk.passive)
        if desk.passive and (len(desk.passive) >= NOISE_RESTING_MAX or rng.random() < 0.4):
            gone = desk.passive.pop(rng.randint(0, len(desk.passive) - 1))
            self._venue.cancel(NOISE, OrderRef(gone.order_id, desk.market), now_ns)
            self._drop(NOISE, gone.order_id)
            return
        market = self._venue.markets[desk.market]
        side = Side.BID if rng.random() < 0.5 else Side.ASK
        best = market.top(side)
        if best is None:
            return
        tick_e4 = market.grid.tick_at(best[0])
        price_e4 = _outward(market.grid, side, best[0] - side.sign * tick_e4 * rng.randint(-1, 4))
        if price_e4 is not None:
            request = CreateRequest(desk.market, side, price_e4, rng.randint(100, 3_000), post_only=True)
            self._rest(desk.passive, NOISE, request, now_ns)

    def _take_blindly(self, desk: _Desk, now_ns: int) -> None:
        """Let a noise trader hit whatever is best, for a fraction of contracts at times."""
        rng = self._rng
        side = Side.BID if rng.random() < 0.5 else Side.ASK
        best = self._venue.markets[desk.market].top(side.opposite)
        if best is not None:
            qty_e2 = rng.randint(1, 40) * CONTRACT_E2 + (rng.randint(0, 99) if rng.random() < 0.2 else 0)
            self._take(NOISE, CreateRequest(desk.market, side, best[0], qty_e2, IOC), now_ns)

    def _take_knowingly(self, desk: _Desk, now_ns: int) -> None:
        """Let the informed trader take what is priced worse than the truth by more than a fee."""
        market = self._venue.markets[desk.market]
        truth_e4 = desk.event.latent.probabilities()[desk.outcome] * DOLLAR_E4
        for side in Side:
            best = market.top(side.opposite)
            if best is None:
                continue
            edge_e4 = (truth_e4 - best[0]) * side.sign
            fee_e4 = 700 * (best[0] / DOLLAR_E4) * (1 - best[0] / DOLLAR_E4)
            if edge_e4 > fee_e4:
                qty_e2 = self._rng.randint(10, 80) * CONTRACT_E2
                self._take(INFORMED, CreateRequest(desk.market, side, best[0], qty_e2, IOC), now_ns)
                return

    # Orders ----------------------------------------------------------------------------------------

    def _rest(self, kept: list[_Rung], account: str, request: CreateRequest, now_ns: int) -> None:
        """Place a passive order and remember it."""
        self.orders += 1
        placed = self._venue.create(account, request, now_ns)
        if isinstance(placed, Placed) and placed.remaining_e2:
            kept.append(_Rung(account, placed.order_id, request.side, request.price_e4))

    def _take(self, account: str, request: CreateRequest, now_ns: int) -> None:
        """Take what is there at this price, and leave nothing behind."""
        self.orders += 1
        placed = self._venue.create(account, request, now_ns)
        if isinstance(placed, Placed):
            self._drop(account, placed.order_id)

    def _forget_gone(self, kept: list[_Rung]) -> None:
        """Drop what was filled, so that a venue that runs for days does not hold every trader's order."""
        orders = self._venue.floor.orders
        still = []
        for rung in kept:
            if orders[rung.order_id].is_resting:
                still.append(rung)
            else:
                self._drop(rung.account, rung.order_id)
        kept[:] = still

    def _drop(self, account: str, order_id: str) -> None:
        self._venue.floor.orders.pop(order_id, None)
        self._venue.accounts[account].orders.pop(order_id, None)


def _outward(grid: PriceGrid, side: Side, price_e4: float) -> PriceE4 | None:
    return grid.floor_to_tick(price_e4) if side is Side.BID else grid.ceil_to_tick(price_e4)


def _logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))

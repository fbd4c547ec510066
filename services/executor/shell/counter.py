"""What people and other services may ask the executor: its word, its orders, its positions, a clean sheet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from libs.common.bus.api import Bus, Handler, Message
from libs.common.control.limits import flat
from services.executor.core.account import Now
from services.executor.core.effects import Effect, SendCancels
from services.executor.core.engine import Engine
from services.executor.shell.killing import Killer


class _CancelAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Body of ``cancel_all``: the venue's order ids, or none for every order."""

    order_ids: tuple[str, ...] | None = None


class Counter:
    """Answers in JSON; nothing here can create an order or lift a halt.

    Args:
        others: Endpoints with a counter of their own.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        bus: Bus,
        killer: Killer,
        perform: Callable[[list[Effect]], None],
        now: Callable[[], Now],
        drain: Callable[[], Awaitable[None]],
        others: Mapping[str, Handler],
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._killer = killer
        self._perform = perform
        self._now = now
        self._drain_now = drain
        self._others = others

    @property
    def endpoints(self) -> Mapping[str, Handler]:
        """Return the handlers by endpoint."""
        return {
            "cancel_all": self._cancel_all,
            "drain": self._drain,
            "limits": self._limits,
            "orders": self._orders,
            "positions": self._positions,
            **self._others,
        }

    def word(self) -> dict[str, object]:
        """Return the executor's own word, as a halt's reply carries it."""
        latch = self._engine.account.gate.latch
        ladder = self._killer.last
        return {
            "service": "executor",
            "state": self._engine.state.value if latch is not None and not latch.is_halted else "halted",
            "epoch": self._engine.epoch.number,
            "halt_sequence": latch.halt_sequence if latch is not None else 0,
            "resting_orders": sum(1 for order in self._engine.account.orders.live() if order.order_id),
            "is_verified": ladder is not None and ladder.is_verified,
            "unverified": self._killer.unverified,
            "astray": self._engine.halting.astray,
        }

    async def _cancel_all(self, message: Message) -> None:
        try:
            ask = msgspec.json.decode(message.data or b"{}", type=_CancelAsk)
        except msgspec.DecodeError:
            ask = _CancelAsk()  # cancels are never refused for their form; unreadable means all
        only = None if ask.order_ids is None else frozenset(ask.order_ids)
        effects = self._engine.cancel_everything(self._now(), only=only)
        self._perform(effects)
        count = sum(len(effect.cancels) for effect in effects if isinstance(effect, SendCancels))
        await self._bus.respond(message, msgspec.json.encode({"cancels_sent": count, **self.word()}))

    async def _drain(self, message: Message) -> None:
        # Closes the gate for the rest of this process's life: the first half of an orderly stop.
        await self._drain_now()
        await self._bus.respond(message, msgspec.json.encode(self.word()))

    async def _orders(self, message: Message) -> None:
        account = self._engine.account
        orders = [order.message(account.name, account.wall_offset_ns) for order in account.orders.live()]
        await self._bus.respond(message, msgspec.json.encode({"orders": orders}))

    async def _limits(self, message: Message) -> None:
        """Answer what each limit is now, what the configuration allows at most, and who changed it."""
        approver, fold, now_ms = self._engine.quoter.approver, self._engine.limits, self._now().ms
        shown = [fold.now(name, cap, now_ms) for name, cap in flat(approver.ceiling).items()]
        body = {"account": fold.account, "limits_hash": fold.hash(), "limits": shown}
        await self._bus.respond(message, msgspec.json.encode(body))

    async def _positions(self, message: Message) -> None:
        positions = self._engine.account.positions
        shown = {
            market: {"qty_e2": positions.qty_e2(market), "cost_e6": positions.cost_e6(market)}
            for market in sorted(positions.open_markets)
        }
        body = {
            "account": positions.account,
            "positions": shown,
            "fees_e6": positions.fees_e6,
            "realised_e6": positions.realised_e6,
            "fills": positions.fill_count,
        }
        await self._bus.respond(message, msgspec.json.encode(body))

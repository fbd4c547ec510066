"""What must hold whatever happened: looked at whenever the venue does something, and again at rest.

A1 Every order that the venue accepts from us was written down first: its intent is in
   the journal under its client order id, names a decision, and was appended under the
   epoch that was the newest then. (reliability I1; one venue order per intent, I2.)
A2 Once a leader has fenced older epochs, no order of theirs is accepted. (I7)
A3 No order is accepted later than `HALT_NS` after a halt, until a resume. (I3, I9)
At rest, with `R` for what the newest leader says:
R1 Every order that ever was is known to R as it is at the venue, or ended there.
R2 Every fill is booked once by R and journalled once, with the decision of its order.
R3 Positions and cash of R equal the venue's.
R4 Every intent has a fate in the journal: refused, unsent, or an end that somebody recorded.
R5 What is wanted rests, once, and nothing else does. (liveness)
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from libs.common.bus.api import Message
from libs.common.bus.memory import MemoryBroker
from libs.common.domain.ids import parse_client_order_id
from libs.common.messages.base import WireDecoder
from libs.common.messages.execution import (
    Action,
    EpochV1,
    FillV1,
    IntentItemV1,
    IntentV1,
    OrderV1,
    ResultV1,
)
from libs.common.messages.target import QuoteV1
from libs.common.subjects import Subjects
from services.executor.core.engine import Engine
from services.executor.core.order_life import TERMINAL
from services.simexchange.core.events import Event, OrderChanged
from services.simexchange.core.orders import Order
from services.simexchange.core.venue import Venue

HALT_NS = 20_000_000
_INTENT = WireDecoder(IntentV1)
_EPOCH = WireDecoder(EpochV1)
_FILL = WireDecoder(FillV1)
_ORDER = WireDecoder(OrderV1)
_RESULT = WireDecoder(ResultV1)


@dataclass
class Auditor:
    """Sees the journal and the venue, and asks nobody."""

    venue: Venue
    broker: MemoryBroker
    account: str
    judges_journal: bool = True
    """False for mutants: then only what the venue accepts counts."""
    breaches: list[str] = field(default_factory=list)
    epoch: int = 0
    fenced_epoch: int = 0
    halted_ns: int | None = None
    items: dict[str, IntentItemV1] = field(default_factory=dict)
    decisions: dict[str, set[str]] = field(default_factory=dict)
    accepted: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.broker.follow(Subjects(self.broker.subjects.env).all_of("exec.intent"), self._on_intent)
        self.broker.follow(Subjects(self.broker.subjects.env).all_of("exec.epoch"), self._on_epoch)

    def breach(self, text: str) -> None:
        """Note a broken rule, once."""
        if text not in self.breaches:
            self.breaches.append(text)

    def fenced(self, epoch: int) -> None:
        """Note that the leader of this epoch says that it has fenced and cleaned."""
        self.fenced_epoch = max(self.fenced_epoch, epoch)

    def on_events(self, events: list[Event], now_ns: int) -> None:
        """Look at what the venue did."""
        for event in events:
            if not isinstance(event, OrderChanged) or event.account != self.account:
                continue
            if event.order.order_id not in self.accepted:
                self._on_accepted(event.order, now_ns)

    def _on_accepted(self, order: Order, now_ns: int) -> None:
        client = order.client_order_id
        identity = parse_client_order_id(client)
        if client in self.accepted.values():
            self.breach(f"A1 a second order for {client}")
        self.accepted[order.order_id] = client
        item = self.items.get(client)
        if item is None or identity is None:
            self.breach(f"A1 accepted without an intent: {client}")
            return
        if not item.decision_id:
            self.breach(f"A1 an intent without a decision: {client}")
        if identity.epoch < self.fenced_epoch:
            self.breach(f"A2 epoch {self.fenced_epoch} had fenced, accepted of epoch {identity.epoch}")
        if self.halted_ns is not None and now_ns - self.halted_ns > HALT_NS:
            self.breach(f"A3 accepted {(now_ns - self.halted_ns) / 1e6:.1f} ms after a halt")

    def _on_intent(self, message: Message) -> None:
        intent = _INTENT.decode(message.data)
        if intent.epoch != self.epoch and self.judges_journal:
            self.breach(f"A1 an intent of epoch {intent.epoch} was stored under epoch {self.epoch}")
        for item in intent.items:
            self.decisions.setdefault(item.client_order_id, set()).add(item.decision_id)
            if item.action is Action.CREATE:
                if item.client_order_id in self.items:
                    self.breach(f"A1 two intents for {item.client_order_id}")
                self.items[item.client_order_id] = item

    def _on_epoch(self, message: Message) -> None:
        self.epoch = _EPOCH.decode(message.data).number

    # At rest

    def unrest(self, engine: Engine, wanted: dict[str, tuple[QuoteV1, ...]]) -> str:
        """Return what is not as it shall be yet, or nothing."""
        account = self.venue.accounts[self.account]
        resting = Counter(
            (order.market, order.side.value, order.price_e4, order.remaining_e2)
            for orders in account.resting.values()
            for order in orders.values()
        )
        meant = Counter(
            (market, quote.side.value, quote.price_e4, quote.qty_e2)
            for market, quotes in wanted.items()
            for quote in quotes
        )
        if resting != meant:
            return f"R5 wanted and missing {dict(meant - resting)}, resting unasked {dict(resting - meant)}"
        open_orders = [o for o in engine.account.orders.live() if o.is_in_flight or o.is_unknown or o.look_up]
        if open_orders:
            return f"R1 in doubt: {[(o.client_order_id, o.state.value) for o in open_orders]}"
        known = Counter(
            (o.market, o.side.value, o.price_e4, o.remaining_e2) for o in engine.account.orders.live()
        )
        if known != resting:
            return f"R1 known {dict(known - resting)}, at the venue {dict(resting - known)}"
        return self._money(engine)

    def _money(self, engine: Engine) -> str:
        account = self.venue.accounts[self.account]
        positions = engine.account.positions
        for market in {*account.positions, *positions.open_markets}:
            ours, theirs = positions.qty_e2(market), account.positions[market].qty_e2
            if ours != theirs:
                return f"R3 position of {market}: ours {ours}, the venue's {theirs}"
        if residual := positions.cash_residual_e6(sum(account.cash_e6.values())):
            return f"R3 cash differs by {residual} E6"
        told = Counter(
            (fill.trade_id, fill.order_id) for fill in map(_fill_of, self.broker.stored("dora.sim.fill.>"))
        )
        real = Counter((fill.trade_id, fill.order_id) for fill in account.fills)
        if told != real:
            return f"R2 fills journalled {sum(told.values())}, at the venue {sum(real.values())}"
        return self._fates()

    def _fates(self) -> str:
        ended: set[str] = set()
        unborn: set[str] = set()
        for message in self.broker.stored("dora.sim.order.>"):
            record = _ORDER.decode(message.data)
            if record.state in TERMINAL:
                ended.add(record.client_order_id)
        for message in self.broker.stored("dora.sim.exec.result.>"):
            for item in _RESULT.decode(message.data).items:
                if item.outcome in ("refused", "unsent"):
                    unborn.add(item.client_order_id)
        orders = {order.client_order_id: order for order in self.venue.accounts[self.account].orders.values()}
        for client in self.items:
            order = orders.get(client)
            if order is None and client not in ended | unborn:
                return f"R4 nobody wrote down that {client} never was"
            if order is not None and not order.is_resting and client not in ended:
                return f"R4 nobody wrote down that {client} has ended"
        return ""

    def at_rest(self, engine: Engine) -> None:
        """Look at everything that must hold once nothing moves any more."""
        account = self.venue.accounts[self.account]
        for order in account.orders.values():
            known = engine.account.orders.by_order(order.order_id)
            if order.is_resting and (known is None or not known.decision_id or not known.is_live):
                self.breach(f"R1 rests without a decision: {order.client_order_id}")
        if engine.account.counters["orphans"] or engine.account.counters["duplicates"]:
            self.breach(f"R1 orphans {engine.account.orphans}")
        if engine.account.positions.fill_count != len(account.fills):
            self.breach(f"R2 {engine.account.positions.fill_count} counted of {len(account.fills)} fills")
        for message in self.broker.stored("dora.sim.fill.>"):
            fill = _fill_of(message)
            if fill.decision_id not in self.decisions.get(fill.client_order_id, ()):
                self.breach(f"R2 a fill of {fill.client_order_id} for decision {fill.decision_id!r}")
        if self.venue.residual_e6():
            self.breach("the venue made money out of nowhere")


def _fill_of(message: Message) -> FillV1:
    return _FILL.decode(message.data)

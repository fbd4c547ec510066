"""Build what goes into EXEC before and after each request, and read it back after a crash.

An intent names every request of a batch with its deterministic client order id;
the shell may send only what the stream has acknowledged under this epoch's fence
(design rule 4). Read back, the journal says which orders may exist: those with an
intent and no final result. It never says that one does not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.common.domain.ids import OrderIdentity
from libs.common.domain.side import Side
from libs.common.messages.execution import (
    Action,
    EpochV1,
    FillV1,
    IntentItemV1,
    IntentV1,
    OrderGroupV1,
    OrderV1,
    Purpose,
    RenewV1,
    ResultItemV1,
    ResultV1,
)
from services.executor.core.order_life import TERMINAL


@dataclass(frozen=True, slots=True)
class Draft:
    """What identifies one create; the same draft at the same place has the same id for ever."""

    market: str
    side: Side
    price_e4: int
    qty_e2: int
    decision_id: str

    def digest(self) -> str:
        """Return eight hexadecimal digits of the draft's SHA-256."""
        text = f"{self.market}|{self.side}|{self.price_e4}|{self.qty_e2}|{self.decision_id}"
        return hashlib.sha256(text.encode()).hexdigest()[:8]


@dataclass(slots=True)
class JournalWriter:
    """Numbers batches within the epoch and builds their messages."""

    env: str
    account: str
    epoch: int
    batch: int = 0

    def next_batch(self) -> int:
        """Return the next batch number; it is used once, sent or not."""
        self.batch += 1
        return self.batch

    def client_order_id(self, batch: int, index: int, draft: Draft) -> str:
        """Return the client order id of a batch item."""
        return OrderIdentity(self.env, self.epoch, batch, index, draft.digest()).text()

    def intent(self, batch: int, items: Sequence[IntentItemV1], now_ns: int) -> IntentV1:
        """Return the message that must be stored before the batch may leave."""
        assert items, "a batch of nothing"
        return IntentV1(
            account=self.account, epoch=self.epoch, batch=batch, items=tuple(items), issued_ns=now_ns
        )

    def result(
        self, batch: int, status: int, latency_us: int, items: Sequence[ResultItemV1], *, epoch: int
    ) -> ResultV1:
        """Return the message that answers the intent."""
        return ResultV1(
            account=self.account,
            epoch=epoch,
            batch=batch,
            status=status,
            latency_us=latency_us,
            items=tuple(items),
        )


@dataclass(frozen=True, slots=True)
class Journalled:
    """One create of the journal."""

    item: IntentItemV1
    epoch: int
    batch: int


@dataclass(slots=True)
class JournalFold:
    """What EXEC says, read from its beginning.

    Attributes:
        epoch: The newest epoch, None on a new account.
        epoch_sequence: Its stream sequence: what a takeover is fenced on.
        genesis: The account's first epoch, which holds the genesis balance.
        renew: The newest renewal.
        renew_sequence: Its stream sequence.
        groups: Every group ever journalled, by epoch.
        creates: Every create ever intended, by client order id.
        fills: Every fill ever recorded, by trade and order, the oldest first.
        asked: Client order id of what people asked for, by the last part of its decision id.
    """

    epoch: EpochV1 | None = None
    epoch_sequence: int = 0
    genesis: EpochV1 | None = None
    renew: RenewV1 | None = None
    renew_sequence: int = 0
    groups: list[OrderGroupV1] = field(default_factory=list)
    creates: dict[str, Journalled] = field(default_factory=dict)
    fills: dict[tuple[str, str], FillV1] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    malformed: int = 0
    has_unread_group: bool = False
    """A group was journalled that cannot be read: some group that the venue lists may be an old leader's."""
    _order_ids: dict[str, str] = field(default_factory=dict)
    _open: set[str] = field(default_factory=set)

    def on_epoch(self, sequence: int, epoch: EpochV1) -> None:
        """Take an epoch."""
        if sequence > self.epoch_sequence:
            self.epoch, self.epoch_sequence = epoch, sequence
        if self.genesis is None and epoch.genesis_balance_e6 is not None:
            self.genesis = epoch

    def on_renew(self, sequence: int, renew: RenewV1) -> None:
        """Take a renewal."""
        if sequence > self.renew_sequence:
            self.renew, self.renew_sequence = renew, sequence

    def on_group(self, group: OrderGroupV1) -> None:
        """Take an order group."""
        self.groups.append(group)

    def on_intent(self, intent: IntentV1) -> None:
        """Take an intent: from now on its creates may exist."""
        for item in intent.items:
            if item.action is Action.CREATE:
                self.creates[item.client_order_id] = Journalled(item, intent.epoch, intent.batch)
                self._open.add(item.client_order_id)
                if item.purpose is not Purpose.MAKER:
                    self.asked[item.decision_id.rpartition(":")[2]] = item.client_order_id

    def on_result(self, result: ResultV1) -> None:
        """Take a result: proven refusals and unsent items exist no more."""
        for item in result.items:
            if item.action is not Action.CREATE:
                continue
            if item.order_id:
                self._order_ids[item.client_order_id] = item.order_id
            if item.outcome in ("refused", "unsent"):
                self._open.discard(item.client_order_id)

    def on_order(self, order: OrderV1) -> None:
        """Take an order's newest state."""
        if order.order_id:
            self._order_ids[order.client_order_id] = order.order_id
        if order.state in TERMINAL:
            self._open.discard(order.client_order_id)
        else:
            self._open.add(order.client_order_id)

    def on_fill(self, fill: FillV1) -> None:
        """Take a fill; it proves its order's two names."""
        self.fills.setdefault((fill.trade_id, fill.order_id), fill)
        if fill.client_order_id:
            self._order_ids[fill.client_order_id] = fill.order_id

    @property
    def order_ids(self) -> dict[str, str]:
        """Return the venue's id of each client order id that ever had one."""
        return dict(self._order_ids)

    def unresolved(self) -> list[Journalled]:
        """Return the creates that may still rest or whose fate nobody wrote down."""
        return [self.creates[client] for client in sorted(self._open) if client in self.creates]

    def old_groups(self, epoch: int) -> list[OrderGroupV1]:
        """Return the groups of epochs before this one, newest first."""
        return [group for group in reversed(self.groups) if group.epoch < epoch]

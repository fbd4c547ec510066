"""The only way out for orders: store the intent, check the seal, ask the gate, write the bytes.

Between the intent's acknowledgement and the bytes nothing is awaited but the socket,
and the gate is asked by the transport itself right before them. What comes back is
handed to the core as it arrives; what was not sent is proven not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from libs.common.bus.api import AppendRefused, Bus, BusUnavailable, Fence, OutcomeUnknown
from libs.common.kalshi.budget import TokenBuckets
from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.model import Accepted, Outcome, Refused, Unknown
from libs.common.kalshi.order_sender import Amend, NewOrder, OrderSender, SendOutcome, Unsent
from libs.common.messages.base import encode
from libs.common.messages.execution import Action, IntentItemV1, ResultItemV1
from libs.common.runtime.clock import Clock
from libs.common.subjects import Subjects
from services.executor.core.account import Now
from services.executor.core.answers import Answer, NotSent
from services.executor.core.batch_log import batch_cancel, batch_cancelled, batch_place, batch_placed
from services.executor.core.effects import Effect, Log, SendBatch
from services.executor.core.engine import Engine
from services.executor.core.quoting import ExecutionMode
from services.executor.core.requests import AmendRequest, CancelRequest, CreateRequest
from services.executor.core.seal import Approved
from services.executor.shell.halt_listener import HaltFlag
from services.executor.shell.publisher import Publisher

Perform = Callable[[list[Effect]], None]
_JOURNAL_S = 0.5


class Sender:
    """Sends batches and cancels for one engine."""

    def __init__(
        self,
        *,
        engine: Engine,
        bus: Bus,
        subjects: Subjects,
        orders: OrderSender,
        canceller: Canceller,
        buckets: TokenBuckets,
        publisher: Publisher,
        flag: HaltFlag,
        clock: Clock,
        now: Callable[[], Now],
        perform: Perform,
    ) -> None:
        self._engine = engine
        self._bus = bus
        self._subjects = subjects
        self._orders = orders
        self._canceller = canceller
        self._buckets = buckets
        self._publisher = publisher
        self._flag = flag
        self._clock = clock
        self._now = now
        self._perform = perform
        self._cancel_batches = 0
        self._leaving: set[int] = set()
        self.on_fence_lost: Callable[[str], None] = lambda _: None
        self.on_quiet: Callable[[], None] = lambda: None

    async def send_batch(self, batch: SendBatch) -> None:
        """Send one batch and hand every answer to the core, whatever happens."""
        answers: dict[str, Answer] = {}
        began_ns = self._clock.mono_ns()
        run = self._engine.account.run
        self._perform(batch_place(run, batch.intent))
        why = await self._journal(batch)
        self._leaving.add(batch.intent.batch)
        if why is None:
            why = self._spend(batch)
        if why is None:
            async with asyncio.TaskGroup() as tasks:
                if batch.creates:
                    if self._engine.quoter.mode is ExecutionMode.BATCH:
                        tasks.create_task(self._create(batch, batch.creates, answers))
                    else:
                        for one in batch.creates:
                            tasks.create_task(self._create(batch, (one,), answers))
                for approved in batch.amends:
                    tasks.create_task(self._amend(batch, approved, answers))
                for decrease in batch.decreases:
                    tasks.create_task(self._decrease(decrease.client_order_id, batch, answers))
        else:
            for item in batch.intent.items:
                self._take(item, NotSent(why), answers)
        self._leaving.discard(batch.intent.batch)
        latency_us = (self._clock.mono_ns() - began_ns) // 1_000
        self._finish(batch, answers, latency_us)
        self._perform(batch_placed(run, batch.intent, answers))

    @property
    def is_order_leaving(self) -> bool:
        """Return whether a batch is stored and none of its bytes has left."""
        return bool(self._leaving)

    async def send_cancels(self, cancels: Sequence[CancelRequest]) -> None:
        """Cancel with one request; asks nobody, needs no bus."""
        self._engine.account.counters["http_calls"] += 1
        self._cancel_batches += 1
        run, number = self._engine.account.run, self._cancel_batches
        self._perform(batch_cancel(run, number, cancels))
        refs = [(cancel.order_id, cancel.market, cancel.shard) for cancel in cancels]
        outcomes = await self._canceller.cancel_batch(refs)
        effects: list[Effect] = []
        now = self._now()
        for cancel, outcome in zip(cancels, outcomes, strict=True):
            effects += self._engine.intake.on_cancel_answer(cancel, outcome, now)
            effects.append(_order_result(cancel.market, cancel.decision_id, "cancel", outcome, 0))
        self._pace(outcomes, 0)
        self._perform(effects + batch_cancelled(run, number, cancels, outcomes))

    async def trigger_group(self, order_group_id: str, shard: int) -> bool:
        """Trigger a group; return whether that is now certain."""
        self._engine.account.counters["http_calls"] += 1
        outcome = await self._canceller.trigger_group(order_group_id, shard)
        # Gone is as good as triggered: nothing can join or rest in a group that does not exist.
        is_gone = isinstance(outcome, Refused) and outcome.status == 404
        return isinstance(outcome, Accepted) or is_gone

    async def cancel_all(self) -> bool:
        """Cancel everything of the account; return whether that is now certain."""
        self._engine.account.counters["http_calls"] += 1
        return isinstance(await self._canceller.cancel_all(), Accepted)

    # The journal is the fence: no acknowledgement, no request (design rule 4).
    async def _journal(self, batch: SendBatch) -> str | None:
        keeper = self._engine.epoch
        account = batch.intent.account
        if batch.intent.epoch != keeper.number or not keeper.is_leading:
            return "epoch_changed"
        try:
            with self._publisher.intent():
                ack = await self._bus.append(
                    self._subjects.of("exec.intent", account),
                    encode(batch.intent),
                    msg_id=f"intent-{account}-{batch.intent.epoch}-{batch.intent.batch}",
                    fence=Fence(self._subjects.of("exec.epoch", account), keeper.token),
                    timeout_s=_JOURNAL_S,
                )
        except AppendRefused as e:
            if e.is_fence and (keeper.is_moving or batch.intent.epoch != keeper.number):
                return "epoch_changed"
            if e.is_fence:
                keeper.fence_refused()
                self.on_fence_lost("an intent was refused: another leader holds the epoch")
                return "fence_lost"
            return "journal_refused"
        except (BusUnavailable, OutcomeUnknown):
            return "journal_unavailable"
        return "journal_duplicate" if ack.is_duplicate else None

    def _spend(self, batch: SendBatch) -> str | None:
        now_ns = self._clock.mono_ns()
        for approved in (*batch.creates, *batch.amends):
            if why := self._engine.seal.spend(approved, self._engine.epoch.number, now_ns):
                return why
        return None

    def _guard(self, batch: SendBatch, approved: tuple[Approved, ...]) -> Callable[[], str | None]:
        def guard() -> str | None:
            if self._flag.is_up:
                return "halt_heard"
            return self._engine.may_send(approved, batch.markets, self._now())

        return guard

    def _on_wire(self, batch: SendBatch, clients: Sequence[str]) -> Callable[[int], None]:
        def on_wire(mono_ns: int) -> None:
            self._leaving.discard(batch.intent.batch)
            self._engine.account.counters["http_calls"] += 1
            self._engine.intake.on_sent(clients, self._now())
            self._engine.on_wire(batch.origins_ns, mono_ns)

        return on_wire

    async def _create(
        self, batch: SendBatch, approved: tuple[Approved, ...], answers: dict[str, Answer]
    ) -> None:
        orders = [_new_order(one.request) for one in approved]
        clients = [order.client_order_id for order in orders]
        guard, on_wire = self._guard(batch, approved), self._on_wire(batch, clients)
        if self._engine.quoter.mode is ExecutionMode.BATCH:
            outcomes = await self._orders.create_batch(orders, guard=guard, on_wire=on_wire)
            shard = 0
        else:
            outcomes = [await self._orders.create(orders[0], guard=guard, on_wire=on_wire)]
            shard = orders[0].shard
        items = {item.client_order_id: item for item in batch.intent.items}
        for client, outcome in zip(clients, outcomes, strict=True):
            self._take(items[client], _answer(outcome), answers)
        self._pace(outcomes, shard)

    async def _amend(self, batch: SendBatch, approved: Approved, answers: dict[str, Answer]) -> None:
        request = approved.request
        assert isinstance(request, AmendRequest), request
        amend = Amend(
            order_id=request.order_id,
            client_order_id=request.client_order_id,
            market=request.market,
            shard=request.shard,
            side=request.side,
            price_e4=request.price_e4,
            total_e2=request.total_e2,
            expires_ms=request.expires_ms,
        )
        outcome = await self._orders.amend(
            amend, guard=self._guard(batch, (approved,)), on_wire=self._on_wire(batch, ())
        )
        self._take(_item(batch, request.client_order_id), _answer(outcome), answers)
        self._pace([outcome], request.shard)

    async def _decrease(self, client_order_id: str, batch: SendBatch, answers: dict[str, Answer]) -> None:
        request = next(one for one in batch.decreases if one.client_order_id == client_order_id)
        outcome = await self._orders.decrease(
            request.order_id,
            request.market,
            request.shard,
            remaining_e2=request.remaining_e2,
            on_wire=self._on_wire(batch, ()),
        )
        self._take(_item(batch, client_order_id), _answer(outcome), answers)
        self._pace([outcome], request.shard)

    def _take(self, item: IntentItemV1, answer: Answer, answers: dict[str, Answer]) -> None:
        now = self._now()
        answers[item.client_order_id] = answer
        intake = self._engine.intake
        if item.action is Action.CREATE:
            self._perform(intake.on_create_answer(item.client_order_id, answer, now))
        else:
            self._perform(intake.on_amend_answer(item.client_order_id, item.action, answer, now))

    def _finish(self, batch: SendBatch, answers: dict[str, Answer], latency_us: int) -> None:
        items = tuple(_result_item(item, answers[item.client_order_id]) for item in batch.intent.items)
        status = next((a.status for a in answers.values() if isinstance(a, Refused | Unknown)), 0)
        journal = self._engine.account.journal
        self._publisher.result(
            journal.result(batch.intent.batch, status, latency_us, items, epoch=batch.intent.epoch)
        )
        self._perform(
            [
                _order_result(
                    item.market,
                    item.decision_id,
                    item.action.value,
                    answers[item.client_order_id],
                    latency_us,
                )
                for item in batch.intent.items
            ]
        )
        self._engine.batch_answered()
        self.on_quiet()

    def _pace(self, outcomes: Sequence[SendOutcome | Outcome], shard: int) -> None:
        if any(isinstance(outcome, Refused) and outcome.is_rate_limit for outcome in outcomes):
            self._engine.account.counters["rate_limited"] += 1
            self._buckets.record_rate_limit_hit(self._clock.mono_ns(), shard)
            fields = {"consecutive_hits": 1, "endpoint": f"shard {shard}"}
            self._perform([Log("RATE_LIMITED", level="WARNING", fields=fields)])
        elif any(isinstance(outcome, Accepted | Refused) for outcome in outcomes):
            self._buckets.record_success(shard)


def _item(batch: SendBatch, client_order_id: str) -> IntentItemV1:
    return next(item for item in batch.intent.items if item.client_order_id == client_order_id)


def _new_order(request: CreateRequest | AmendRequest) -> NewOrder:
    assert isinstance(request, CreateRequest), request
    return NewOrder(
        market=request.market,
        shard=request.shard,
        client_order_id=request.client_order_id,
        side=request.side,
        price_e4=request.price_e4,
        qty_e2=request.qty_e2,
        tif="immediate_or_cancel" if request.is_immediate else "good_till_canceled",
        post_only=request.post_only,
        reduce_only=request.reduce_only,
        expires_ms=None if request.is_immediate else request.expires_ms,
        order_group_id=request.order_group_id,
        cancel_on_pause=True,
    )


def _answer(outcome: SendOutcome) -> Answer:
    return NotSent(outcome.reason) if isinstance(outcome, Unsent) else outcome


def _result_item(item: IntentItemV1, answer: Answer) -> ResultItemV1:
    order_id, code, fill_e2, remaining_e2 = item.order_id, "", 0, 0
    if isinstance(answer, Accepted):
        outcome, order_id = "accepted", answer.order_id
        fill_e2, remaining_e2 = answer.filled_e2, answer.remaining_e2
    elif isinstance(answer, Refused):
        outcome, code = "refused", answer.code
    elif isinstance(answer, Unknown):
        outcome, code = "unknown", answer.reason
    else:
        outcome, code = "unsent", answer.reason
    return ResultItemV1(
        client_order_id=item.client_order_id,
        action=item.action,
        outcome=outcome,
        order_id=order_id,
        code=code,
        fill_e2=fill_e2,
        remaining_e2=remaining_e2,
    )


def _order_result(
    market: str, decision_id: str, action: str, answer: Answer | Outcome, latency_us: int
) -> Effect:
    status = type(answer).__name__.lower()
    error = getattr(answer, "code", "") or getattr(answer, "reason", "")
    is_fine = isinstance(answer, Accepted | NotSent)
    return Log(
        "ORDER_RESULT",
        level="INFO" if is_fine else "WARNING",
        fields={
            "market": market,
            "decision_id": decision_id,
            "action": action,
            "status": status,
            "order_id": getattr(answer, "order_id", ""),
            "latency_ms": latency_us / 1_000,
            "error_msg": error,
        },
    )

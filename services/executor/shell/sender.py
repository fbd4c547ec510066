"""The only way out for orders: store the intent, check the seal, ask the gate, write the bytes.

Between the intent's acknowledgement and the bytes nothing is awaited but the socket
and, for a create that takes another order's place, the answer to that order's cancel,
which left while the intent travelled. The gate is asked by the transport itself right
before the bytes. What comes back is handed to the core as it arrives; what was not sent
is proven not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from libs.common.bus.api import AppendRefused, Bus, BusUnavailable, Fence, OutcomeUnknown
from libs.common.kalshi.budget import TokenBuckets
from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.model import Refused, Unknown
from libs.common.kalshi.order_sender import OrderSender
from libs.common.messages.base import encode
from libs.common.messages.execution import Action, IntentItemV1
from libs.common.runtime.clock import Clock
from libs.common.subjects import Subjects
from services.executor.core.account import Now
from services.executor.core.answers import CANCEL_NOT_CONFIRMED, Answer, NotSent
from services.executor.core.batch_log import batch_place, batch_placed
from services.executor.core.effects import Effect, Lane, SendBatch
from services.executor.core.engine import Engine
from services.executor.core.requests import CancelRequest, DecreaseRequest
from services.executor.core.seal import Approved
from services.executor.shell.cancelling import Cancelling
from services.executor.shell.halt_listener import HaltFlag
from services.executor.shell.pacing import Pacing
from services.executor.shell.publisher import Publisher
from services.executor.shell.results import amend, answer_of, new_order, order_result, result_item

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
        urgent: Canceller,
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
        self._publisher = publisher
        self._flag = flag
        self._clock = clock
        self._now = now
        self._perform = perform
        self._pacing = Pacing(engine=engine, buckets=buckets, clock=clock, perform=perform)
        self._cancelling = Cancelling(
            engine=engine,
            canceller=canceller,
            urgent=urgent,
            pacing=self._pacing,
            now=now,
            perform=perform,
        )
        # By epoch and number: numbers begin anew with each epoch, and answers of the one before still come.
        self._leaving: set[tuple[int, int]] = set()
        self._stored_ns: dict[tuple[int, int], tuple[int, int]] = {}  # handed to the journal, acknowledged
        self.on_fence_lost: Callable[[str], None] = lambda _: None
        self.on_passed: Callable[[], None] = lambda: None
        self.on_quiet: Callable[[], None] = lambda: None

    @property
    def is_order_leaving(self) -> bool:
        """Return whether a batch is planned and none of its bytes has left."""
        return bool(self._leaving)

    @property
    def pacing(self) -> Pacing:
        """Return what hears of every answer."""
        return self._pacing

    async def send_cancels(self, cancels: Sequence[CancelRequest], *, is_paid: bool = False) -> None:
        """Cancel with one request; asks nobody, needs no bus."""
        await self._cancelling.cancel(cancels, is_paid=is_paid)

    async def trigger_group(self, order_group_id: str, shard: int) -> bool:
        """Trigger a group; return whether that is now certain."""
        return await self._cancelling.trigger_group(order_group_id, shard)

    async def cancel_all(self) -> bool:
        """Cancel everything of the account; return whether that is now certain."""
        return await self._cancelling.cancel_all()

    async def send_batch(self, batch: SendBatch) -> None:
        """Send one batch and hand every answer to the core, whatever happens."""
        answers: dict[str, Answer] = {}
        began_ns = self._clock.mono_ns()
        run = self._engine.account.run
        async with asyncio.TaskGroup() as tasks:
            # Before anything that could fail or wait: nothing stands between a cancel and the venue.
            gone = None
            if batch.cancels:
                gone = tasks.create_task(self._cancelling.cancel(batch.cancels, is_paid=True))
            number = _number(batch)
            self._leaving.add(number)
            self._perform(batch_place(run, batch.intent))
            intent_ns = self._clock.mono_ns()
            why = await self._journal(batch)
            self._stored_ns[number] = (intent_ns, self._clock.mono_ns())
            if why is None:
                why = self._spend(batch)
            if why is None:
                requests = self._requests(batch, gone, answers)
                for request in requests[1:]:
                    tasks.create_task(request)
                if requests:
                    # The first one without a turn of the loop in between.
                    await requests[0]
            else:
                for item in batch.intent.items:
                    self._take(item, NotSent(why), answers)
            self._passed(batch)
        del self._stored_ns[number]
        self._finish(batch, answers, (self._clock.mono_ns() - began_ns) // 1_000)
        self._perform(batch_placed(run, batch.intent, answers))

    def _passed(self, batch: SendBatch) -> None:
        self._leaving.discard(_number(batch))
        if not self._leaving:
            self.on_passed()

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

    def _requests(
        self, batch: SendBatch, gone: asyncio.Task[frozenset[str]] | None, answers: dict[str, Answer]
    ) -> list[Coroutine[Any, Any, None]]:
        requests = [self._amend(batch, approved, answers) for approved in batch.amends]
        requests += [self._decrease(decrease, batch, answers) for decrease in batch.decreases]
        if batch.lane is Lane.BATCH:
            loads = [batch.creates] if batch.creates else []
        else:
            loads = [(one,) for one in batch.creates]
        for load in loads:
            if any(one.request.client_order_id in batch.after for one in load):
                requests.append(self._follow(batch, load, gone, answers))
            else:
                requests.insert(0, self._create(batch, load, answers))
        return requests

    async def _follow(
        self,
        batch: SendBatch,
        load: tuple[Approved, ...],
        gone: asyncio.Task[frozenset[str]] | None,
        answers: dict[str, Answer],
    ) -> None:
        """Send creates once the cancels are answered, those whose place is proven free."""
        # A batch whose bytes wait for the venue's answer is not about to leave.
        self._passed(batch)
        confirmed = await gone if gone is not None else frozenset()
        left: list[Approved] = []
        for approved in load:
            client = approved.request.client_order_id
            if batch.after.get(client, "") in confirmed or client not in batch.after:
                why = self._engine.recheck(approved, self._now())
            else:
                why = CANCEL_NOT_CONFIRMED
            if why is None:
                left.append(approved)
            else:
                self._take(_item(batch, client), NotSent(why), answers)
        if left:
            await self._create(batch, tuple(left), answers)

    def _guard(self, batch: SendBatch, approved: tuple[Approved, ...]) -> Callable[[], str | None]:
        followers = [one for one in approved if one.request.client_order_id in batch.after]

        def guard() -> str | None:
            if self._flag.is_up:
                return "halt_heard"
            now = self._now()
            if why := self._engine.may_send(approved, batch.markets, now):
                return why
            # Approved without the orders whose places they take: judged again as things are now.
            return next((why for one in followers if (why := self._engine.recheck(one, now))), None)

        return guard

    def _on_wire(
        self, batch: SendBatch, clients: Sequence[str], *, changed: str = ""
    ) -> Callable[[int], None]:
        def on_wire(mono_ns: int) -> None:
            self._passed(batch)
            self._engine.account.counters["http_calls"] += 1
            self._engine.intake.on_sent(clients, self._now())
            self._engine.on_wire(batch, (*clients, changed), *self._stored_ns[_number(batch)], mono_ns)

        return on_wire

    async def _create(
        self, batch: SendBatch, approved: tuple[Approved, ...], answers: dict[str, Answer]
    ) -> None:
        orders = [new_order(one.request) for one in approved]
        clients = [order.client_order_id for order in orders]
        guard, on_wire = self._guard(batch, approved), self._on_wire(batch, clients)
        if batch.lane is Lane.BATCH:
            outcomes = await self._orders.create_batch(orders, guard=guard, on_wire=on_wire)
            shard = 0
            self._pacing.take_size(outcomes)
        else:
            outcomes = [await self._orders.create(orders[0], guard=guard, on_wire=on_wire)]
            shard = orders[0].shard
        for client, outcome in zip(clients, outcomes, strict=True):
            self._take(_item(batch, client), answer_of(outcome), answers)
        self._pacing.take(outcomes, shard, "create")

    async def _amend(self, batch: SendBatch, approved: Approved, answers: dict[str, Answer]) -> None:
        request = approved.request
        outcome = await self._orders.amend(
            amend(request),
            guard=self._guard(batch, (approved,)),
            on_wire=self._on_wire(batch, (), changed=request.client_order_id),
        )
        self._take(_item(batch, request.client_order_id), answer_of(outcome), answers)
        self._pacing.take([outcome], request.shard, "amend")

    async def _decrease(self, request: DecreaseRequest, batch: SendBatch, answers: dict[str, Answer]) -> None:
        outcome = await self._orders.decrease(
            request.order_id,
            request.market,
            request.shard,
            reduce_by_e2=request.reduce_by_e2,
            on_wire=self._on_wire(batch, (), changed=request.client_order_id),
        )
        self._take(_item(batch, request.client_order_id), answer_of(outcome), answers)
        self._pacing.take([outcome], request.shard, "decrease")

    def _take(self, item: IntentItemV1, answer: Answer, answers: dict[str, Answer]) -> None:
        now = self._now()
        answers[item.client_order_id] = answer
        intake = self._engine.intake
        if item.action is Action.CREATE:
            self._perform(intake.on_create_answer(item.client_order_id, answer, now))
        else:
            self._perform(intake.on_amend_answer(item.client_order_id, item.action, answer, now))

    def _finish(self, batch: SendBatch, answers: dict[str, Answer], latency_us: int) -> None:
        items = batch.intent.items
        status = next((a.status for a in answers.values() if isinstance(a, Refused | Unknown)), 0)
        results = tuple(result_item(item, answers[item.client_order_id]) for item in items)
        journal = self._engine.account.journal
        self._publisher.result(
            journal.result(batch.intent.batch, status, latency_us, results, epoch=batch.intent.epoch)
        )
        told: list[Effect] = []
        for item in items:
            answer = answers[item.client_order_id]
            about = (item.market, item.decision_id, item.action.value)
            told.append(order_result(*about, answer, latency_us, order_id=item.order_id))
        self._perform(told)
        self._engine.batch_answered()
        self.on_quiet()


def _number(batch: SendBatch) -> tuple[int, int]:
    return batch.intent.epoch, batch.intent.batch


def _item(batch: SendBatch, client_order_id: str) -> IntentItemV1:
    return next(item for item in batch.intent.items if item.client_order_id == client_order_id)

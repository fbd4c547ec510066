"""What takes orders out of the venue: it asks nobody, needs no bus, and can create nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from libs.common.kalshi.budget import CANCEL_ALL, CANCEL_BATCH, GROUP_TRIGGER
from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.model import Accepted, Refused
from services.executor.core.account import Now
from services.executor.core.batch_log import batch_cancel, batch_cancelled
from services.executor.core.effects import Effect
from services.executor.core.engine import Engine
from services.executor.core.requests import CancelRequest
from services.executor.shell.pacing import Pacing
from services.executor.shell.results import order_result

_WARM_MAX: Final = 8
"""Requests that share the ordinary connections, of which a transport has twice as many."""


class Cancelling:
    """Cancels by batch, by group and by account.

    Args:
        canceller: Whose connections are warm: used while it has some to spare.
        urgent: Used beyond that: a halt waits behind no cancel that the venue leaves hanging.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        canceller: Canceller,
        urgent: Canceller,
        pacing: Pacing,
        now: Callable[[], Now],
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._engine = engine
        self._canceller = canceller
        self._urgent = urgent
        self._pacing = pacing
        self._now = now
        self._perform = perform
        self._batches = 0
        self._open = 0

    async def cancel(self, cancels: Sequence[CancelRequest], *, is_paid: bool) -> frozenset[str]:
        """Cancel with one request; return the venue's ids whose end it confirmed.

        What a planning pass did not pay for is charged now: it asks no bucket, but it empties one.
        """
        self._engine.account.counters["http_calls"] += 1
        if not is_paid:
            self._pacing.charge(CANCEL_BATCH, 0, len(cancels))
        self._batches += 1
        run, number = self._engine.account.run, self._batches
        self._perform(batch_cancel(run, number, cancels))
        refs = [(cancel.order_id, cancel.market, cancel.shard) for cancel in cancels]
        began_ns = self._now().ns
        with self._line() as canceller:
            outcomes = await canceller.cancel_batch(refs)
        effects: list[Effect] = []
        now = self._now()
        latency_us = (now.ns - began_ns) // 1_000
        for cancel, outcome in zip(cancels, outcomes, strict=True):
            effects += self._engine.intake.on_cancel_answer(cancel, outcome, now)
            about = (cancel.market, cancel.decision_id, "cancel")
            effects.append(order_result(*about, outcome, latency_us, order_id=cancel.order_id))
        self._pacing.take(outcomes, 0, "cancel")
        self._pacing.take_size(outcomes)
        self._perform(effects + batch_cancelled(run, number, cancels, outcomes))
        ends = zip(cancels, outcomes, strict=True)
        return frozenset(cancel.order_id for cancel, outcome in ends if isinstance(outcome, Accepted))

    async def trigger_group(self, order_group_id: str, shard: int) -> bool:
        """Trigger a group; return whether that is now certain."""
        self._engine.account.counters["http_calls"] += 1
        self._pacing.charge(GROUP_TRIGGER, shard)
        with self._line() as canceller:
            outcome = await canceller.trigger_group(order_group_id, shard)
        self._pacing.count([outcome])
        # Gone is as good as triggered: nothing can join or rest in a group that does not exist.
        is_gone = isinstance(outcome, Refused) and outcome.status == 404
        is_dead = isinstance(outcome, Accepted) or is_gone
        if is_dead:
            self._engine.account.groups_dead.add(order_group_id)
        return is_dead

    async def cancel_all(self) -> bool:
        """Cancel everything of the account; return whether that is now certain."""
        self._engine.account.counters["http_calls"] += 1
        self._pacing.charge(CANCEL_ALL, 0)
        with self._line() as canceller:
            outcome = await canceller.cancel_all()
        self._pacing.count([outcome])
        return isinstance(outcome, Accepted)

    @contextlib.contextmanager
    def _line(self) -> Iterator[Canceller]:
        if self._open >= _WARM_MAX:
            yield self._urgent
            return
        self._open += 1
        try:
            yield self._canceller
        finally:
            self._open -= 1

"""Tell the mirror of the venue's buckets what the venue's answers say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from libs.common.kalshi.budget import TokenBuckets
from libs.common.kalshi.model import Accepted, Outcome, Refused
from libs.common.kalshi.order_sender import SendOutcome
from libs.common.runtime.clock import Clock
from services.executor.core.effects import Effect, Log
from services.executor.core.engine import Engine


class Pacing:
    """Every write's answer comes by here."""

    def __init__(
        self,
        *,
        engine: Engine,
        buckets: TokenBuckets,
        clock: Clock,
        perform: Callable[[list[Effect]], None],
    ) -> None:
        self._engine = engine
        self._buckets = buckets
        self._clock = clock
        self._perform = perform

    def take(self, outcomes: Sequence[SendOutcome | Outcome], shard: int) -> None:
        """Take the outcomes of one request that was billed to a shard's bucket."""
        if any(isinstance(outcome, Refused) and outcome.is_rate_limit for outcome in outcomes):
            self._engine.account.counters["rate_limited"] += 1
            self._buckets.record_rate_limit_hit(self._clock.mono_ns(), shard)
            fields = {"consecutive_hits": 1, "endpoint": f"shard {shard}"}
            self._perform([Log("RATE_LIMITED", level="WARNING", fields=fields)])
        elif any(isinstance(outcome, Accepted | Refused) for outcome in outcomes):
            self._buckets.record_success(shard)

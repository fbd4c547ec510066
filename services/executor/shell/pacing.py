"""Tell the mirror of the venue's buckets what the venue's answers say about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from libs.common.kalshi.budget import TokenBuckets, cost_of
from libs.common.kalshi.line import NO_CONNECTION
from libs.common.kalshi.model import Accepted, Outcome, Refused, Unknown
from libs.common.kalshi.order_sender import SendOutcome, Unsent
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
        self.on_refused: Callable[[], None] = lambda: None

    def charge(self, endpoint: tuple[str, str], shard: int, items: int = 1) -> None:
        """Take the tokens of a request that asks no bucket."""
        cost = cost_of(self._buckets.costs, endpoint, items)
        self._buckets.charge(cost, self._clock.mono_ns(), shard)

    def take(self, outcomes: Sequence[SendOutcome | Outcome], shard: int, endpoint: str) -> None:
        """Take the outcomes of one request that was billed to a shard's bucket.

        Args:
            outcomes: One for each item of the request.
            shard: Whose bucket; 0 for every batch.
            endpoint: What was asked: create, amend, decrease or cancel.
        """
        self.count(outcomes)
        if any(isinstance(outcome, Refused) and outcome.is_rate_limit for outcome in outcomes):
            self._limited(shard, endpoint)
        elif any(isinstance(outcome, Accepted | Refused) for outcome in outcomes):
            self._buckets.record_success(shard)

    def count(self, outcomes: Sequence[SendOutcome | Outcome]) -> None:
        """Count one request, and whether it failed: a 5xx, no answer, no connection, or nothing readable.

        What the guard kept back was no request; what the venue refused by its rules did not fail.
        """
        tried = [one for one in outcomes if not (isinstance(one, Unsent) and one.reason != NO_CONNECTION)]
        counters = self._engine.account.counters
        counters["api_requests"] += bool(tried)
        counters["api_errors"] += any(isinstance(one, Unknown | Unsent) for one in tried)

    def take_size(self, outcomes: Sequence[SendOutcome | Outcome]) -> None:
        """Halve the batches where the venue refused a whole one with a 400.

        Items that are refused come with a 201; no largest batch is published, so a body that the venue
        can read and refuses whole is taken as too large (kalshi-api 5.3).
        """
        is_whole = all(isinstance(outcome, Refused) and outcome.status == 400 for outcome in outcomes)
        if len(outcomes) > 1 and is_whole:
            self._engine.quoter.too_large(len(outcomes))
            fields = {"items": len(outcomes), "batch_items": self._engine.quoter.batch_items}
            self._perform([Log("BATCH_TOO_LARGE", level="WARNING", fields=fields)])

    # B-030, B-049, B-050: the refusal, and how long creates stay away from that bucket for it.
    def _limited(self, shard: int, endpoint: str) -> None:
        now_ns = self._clock.mono_ns()
        self._engine.account.counters["rate_limited"] += 1
        wait_ns = self._buckets.record_rate_limit_hit(now_ns, shard)
        self.on_refused()
        fields = {
            "consecutive_hits": self._buckets.consecutive_rate_limits(shard),
            "backoff_seconds": round(wait_ns / 1e9, 3),
            "endpoint": endpoint,
            "shard": shard,
        }
        self._perform(
            [
                Log("RATE_LIMIT", level="WARNING", fields=fields),
                Log("RATE_LIMIT_BACKOFF", level="WARNING", fields=fields),
            ]
        )

"""Make one signed GET and get a typed answer: paced, tried twice, paged within bounds.

Reads change nothing, so they are the only requests that are ever repeated. What
fails raises: `VenueUnavailable` when nothing usable came, `VenueRefused` when
the venue said no, `VenueProtocolError` when it said what its contract forbids.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Final, TypeVar

import httpx
import msgspec

from libs.common.kalshi.budget import cost_of
from libs.common.kalshi.line import Query, VenueLine
from libs.common.kalshi.model import AccountLimits, Bucket, EndpointCosts, Unknown
from libs.common.kalshi.outcome import Answer, refusal_of
from libs.common.kalshi.server_clock import ClockBounds
from libs.common.kalshi.signing import SignsHeaders
from libs.common.kalshi.token_bucket import TokenBucket
from libs.common.kalshi.wire_orders import decode_with
from libs.common.kalshi.wire_text import MalformedWire
from libs.common.runtime.clock import Clock
from libs.common.runtime.errors import VenueProtocolError, VenueRefused, VenueUnavailable

T = TypeVar("T")
P = TypeVar("P", bound=msgspec.Struct)
W = TypeVar("W")

PAGES_MAX: Final = 500
TRIES: Final = 2
PAUSE_S: Final = 0.15
READ_BUCKET_UNTOLD: Final = Bucket(refill_per_s=200, capacity=200)
"""The smallest tier's, until the account's own is known."""
_BALANCE_BUCKET: Final = Bucket(refill_per_s=1, capacity=1)
_API_ROOT: Final = "/trade-api/v2"


class Reading:
    """The common part of all reads."""

    def __init__(
        self,
        base_url: str,
        transport: httpx.AsyncBaseTransport,
        signer: SignsHeaders | None,
        clock: Clock,
        *,
        budget: TokenBucket | None = None,
        deadline_s: float = 5.0,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._line = VenueLine(base_url, transport, signer, clock, deadline_s=deadline_s)
        self._clock = clock
        self._bucket = budget or TokenBucket(READ_BUCKET_UNTOLD, clock.mono_ns())
        self._balance_bucket = TokenBucket(_BALANCE_BUCKET, clock.mono_ns() - 1_000_000_000)
        self._costs = EndpointCosts(default=10)
        self._jitter = jitter
        self.faults: Counter[str] = Counter()
        """Reads that had to be repeated or failed, by kind."""

    def watch_clock(self, take: Callable[[ClockBounds], None]) -> None:
        """Hand over what each answer proves about the venue's clock from now on."""
        self._line.on_clock = take

    def use_limits(self, limits: AccountLimits, costs: EndpointCosts | None = None) -> None:
        """Pace by the account's own read bucket from now on; it starts empty."""
        self._bucket = TokenBucket(limits.read, self._clock.mono_ns())
        self._costs = costs or self._costs

    async def one(
        self,
        decoder: msgspec.json.Decoder[T],
        parts: tuple[str, ...],
        *,
        query: Query = (),
        template: str | None = None,
        is_urgent: bool = False,
    ) -> T:
        """Return the decoded body of one GET.

        Args:
            decoder: Of the body's struct.
            parts: The path below the base address, part by part.
            query: Not signed.
            template: The path as the venue's cost list writes it, where it has parameters.
            is_urgent: See `answer`.
        """
        answer = await self.answer(parts, query, template, is_urgent=is_urgent)
        try:
            return decode_with(decoder, answer.body)
        except MalformedWire as e:
            raise VenueProtocolError(f"GET {'/'.join(parts)}: {e}") from None

    async def pages(
        self,
        decoder: msgspec.json.Decoder[P],
        parts: tuple[str, ...],
        items: Callable[[P], list[W] | None],
        *,
        query: Query,
        is_urgent: bool = False,
    ) -> list[W]:
        """Return the items of all pages; an empty or absent cursor ends.

        Raises:
            VenueProtocolError: A cursor came twice, or the pages do not end.
        """
        found: list[W] = []
        seen: set[str] = set()
        cursor = ""
        for _ in range(PAGES_MAX):
            paged = (*query, ("cursor", cursor)) if cursor else query
            page = await self.one(decoder, parts, query=paged, is_urgent=is_urgent)
            found.extend(items(page) or ())
            cursor = getattr(page, "cursor", None) or ""
            if not cursor:
                return found
            if cursor in seen:
                raise VenueProtocolError(f"GET {'/'.join(parts)}: expected a new cursor, was one seen before")
            seen.add(cursor)
        raise VenueProtocolError(f"GET {'/'.join(parts)}: expected an end within {PAGES_MAX} pages")

    async def answer(
        self,
        parts: tuple[str, ...],
        query: Query = (),
        template: str | None = None,
        *,
        is_urgent: bool = False,
    ) -> Answer:
        """Return a 2xx answer, tried at most twice; an urgent one once, at once, whatever the budget says."""
        cost = cost_of(self._costs, ("GET", f"{_API_ROOT}/{template or '/'.join(parts)}"))
        path = self._line.path(*parts)
        failure: VenueUnavailable | None = None
        for attempt in range(1 if is_urgent else TRIES):
            if attempt:
                await asyncio.sleep(PAUSE_S * (1 + self._jitter()))
            if not is_urgent:
                await self._pace(self._balance_bucket if parts[-1] == "balance" else self._bucket, cost)
            result = await self._line.call("GET", path, query=query)
            if not isinstance(result, Answer):
                self.faults[result.reason] += 1
                failure = VenueUnavailable(f"GET {path}: {result.reason}")
                continue
            refusal = refusal_of(result)
            if refusal is None:
                self._bucket.recover()
                return result
            if isinstance(refusal, Unknown):
                self.faults[refusal.reason] += 1
                failure = VenueUnavailable(f"GET {path}: {refusal.status} {refusal.reason}")
            elif refusal.is_rate_limit:
                self.faults[refusal.code] += 1
                self._bucket.empty(self._clock.mono_ns())
                failure = VenueUnavailable(f"GET {path}: {refusal.code}")
            else:
                raise VenueRefused(
                    f"GET {path}: {refusal.status} {refusal.code} {refusal.message}",
                    status=refusal.status,
                    code=refusal.code,
                )
        assert failure is not None
        raise failure

    async def _pace(self, bucket: TokenBucket, cost: int) -> None:
        price = 1 if bucket is self._balance_bucket else min(cost, bucket.spendable_max)
        while wait_ns := bucket.acquire(price, self._clock.mono_ns()):  # noqa: ASYNC110 - it says how long
            await asyncio.sleep(wait_ns / 1e9)

"""What a measurement asks of the venue: quiet markets, seeded orders, distance, sickness, times.

Loopback only and unsigned, like everything under ``/sim``; nothing here exists at the real venue.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from libs.common.runtime.clock import Clock
from services.simexchange.core.venue import Venue
from services.simexchange.shell.date import DateHeader
from services.simexchange.shell.latency import Distance
from services.simexchange.shell.record import VenueRecord
from services.simexchange.shell.sickness import Sickness


class Quiet(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/quiet``: list markets in which nothing happens by itself."""

    series: str
    shard: int
    count: int


class Seed(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/seed``: resting orders in an account's groups, by market; 0 only forgets old ones."""

    account: str
    groups: dict[str, str]
    count: int


class Move(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/distance``: of every answer of the trade API from now on."""

    ms_min: float
    ms_max: float
    read_lag_s: float


class Sick(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/sick``: the shards that answer 503 from now on; none heals all."""

    shards: list[int]


class Late(msgspec.Struct, forbid_unknown_fields=True):
    """``POST /sim/date``: how wrong the ``Date`` of every answer is from now on; 0 is right."""

    seconds: float


class BenchFace:
    """Handlers."""

    def __init__(  # noqa: PLR0917 - what the counter is wired to
        self,
        venue: Venue,
        clock: Clock,
        record: VenueRecord,
        sickness: Sickness,
        distance: Distance,
        date: DateHeader,
        on_change: Callable[[], None],
    ) -> None:
        self._venue = venue
        self._clock = clock
        self._record = record
        self._sickness = sickness
        self._distance = distance
        self._date = date
        self._on_change = on_change

    def routes(self) -> list[Route]:
        """Return the routes."""

        def quiet(body: bytes) -> object:
            asked = msgspec.json.decode(body, type=Quiet)
            now_ns = self._clock.now_ns()
            names = self._venue.list_quiet_markets(asked.series, asked.shard, asked.count, now_ns)
            return {"markets": names}

        def seed(body: bytes) -> object:
            asked = msgspec.json.decode(body, type=Seed)
            resting = self._venue.seed(asked.account, asked.groups, asked.count, self._clock.now_ns())
            return {"resting": resting}

        def distance(body: bytes) -> object:
            asked = msgspec.json.decode(body, type=Move)
            self._venue.set_read_lag(int(asked.read_lag_s * 1e9), self._clock.now_ns())
            self._distance.move(asked.ms_min, asked.ms_max)
            return {}

        def sick(body: bytes) -> object:
            self._sickness.shards = set(msgspec.json.decode(body, type=Sick).shards)
            return {}

        def date(body: bytes) -> object:
            self._date.offset_ns = int(msgspec.json.decode(body, type=Late).seconds * 1e9)
            return {}

        def record(_: bytes) -> object:
            return self._record.told()

        handlers = {"quiet": quiet, "seed": seed, "distance": distance, "sick": sick, "date": date}
        routes = [Route(f"/sim/{name}", self._asked(do), methods=["POST"]) for name, do in handlers.items()]
        return [*routes, Route("/sim/record", self._asked(record), methods=["GET"])]

    def _asked(self, do: Callable[[bytes], object]) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            try:
                told, status = do(body), 200
            except (msgspec.DecodeError, ValueError, KeyError, AssertionError) as e:
                # Whoever drives the simulator should read what was wrong with the order of the day.
                told, status = {"error": f"{type(e).__name__}: {e}"}, 400
            self._on_change()
            return Response(msgspec.json.encode(told), status, media_type="application/json")

        return endpoint

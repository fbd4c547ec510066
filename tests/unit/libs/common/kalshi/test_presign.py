import asyncio
import threading

import pytest

from libs.common.kalshi.presign import MAX_AGE_MS, REFRESH_S, WAIT_MAX_S, Presigner
from libs.common.kalshi.signing import STAMP_HEADER, Signer
from libs.common.runtime.clock import ManualClock
from tests.unit.libs.common.kalshi.test_signing import ED25519_PEM

ORDERS = ("POST", "/trade-api/v2/portfolio/events/orders")
TRIGGER = ("PUT", "/trade-api/v2/portfolio/order_groups/g/trigger")


class CountingSigner(Signer):
    """Signs, and remembers on which thread."""

    def __init__(self) -> None:
        real = Signer.from_pem("k", ED25519_PEM)
        super().__init__("k", real._key)
        self.threads: list[str] = []

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        self.threads.append(threading.current_thread().name)
        return super().headers(method, path, now_ms)


def test_a_fresh_entry_is_used_and_an_old_one_is_signed_inline() -> None:
    clock, signer = ManualClock(), CountingSigner()
    presigner = Presigner(signer, clock, [ORDERS])
    presigner.refresh()
    made_ms = clock.now_ns() // 1_000_000

    almost_old = presigner.headers(*ORDERS, made_ms + MAX_AGE_MS - 1)
    assert almost_old[STAMP_HEADER] == str(made_ms)
    assert len(signer.threads) == 1

    old = presigner.headers(*ORDERS, made_ms + MAX_AGE_MS)
    assert old[STAMP_HEADER] == str(made_ms + MAX_AGE_MS)
    assert presigner.inline_total == 1


def test_a_clock_stepped_back_makes_ready_headers_unusable() -> None:
    clock, signer = ManualClock(), CountingSigner()
    presigner = Presigner(signer, clock, [ORDERS])
    presigner.refresh()
    stepped_ms = clock.now_ns() // 1_000_000 - 60_000

    assert presigner.headers(*ORDERS, stepped_ms)[STAMP_HEADER] == str(stepped_ms)


def test_other_paths_are_signed_inline_and_not_counted_as_misses() -> None:
    clock, signer = ManualClock(), CountingSigner()
    presigner = Presigner(signer, clock, [ORDERS])
    now_ms = clock.now_ns() // 1_000_000

    assert presigner.headers("GET", "/trade-api/v2/portfolio/orders", now_ms)[STAMP_HEADER] == str(now_ms)
    assert presigner.inline_total == 0


def test_the_thread_signs_watched_routes_and_stops() -> None:
    clock, signer = ManualClock(), CountingSigner()
    seen = threading.Event()

    class Telling(Presigner):
        def refresh(self) -> None:
            super().refresh()
            if threading.current_thread().name == "presign" and TRIGGER in self._ready:
                seen.set()

    with Telling(signer, clock, [ORDERS], refresh_s=0.01) as presigner:
        presigner.watch(TRIGGER)
        assert seen.wait(5)
        signer.threads.clear()
        headers = presigner.headers(*TRIGGER, clock.now_ns() // 1_000_000)
        assert "MainThread" not in signer.threads
        assert headers[STAMP_HEADER] == str(clock.now_ns() // 1_000_000)
        presigner.unwatch(TRIGGER)
        assert presigner.routes == {ORDERS}
    assert presigner._thread is None


def test_only_what_is_missing_or_due_is_signed_again() -> None:
    clock, signer = ManualClock(), CountingSigner()
    presigner = Presigner(signer, clock, [ORDERS])
    presigner.refresh()
    presigner.watch(TRIGGER)
    presigner.refresh()
    assert presigner.ahead_total == 2

    clock.advance(int(REFRESH_S * 1e9))
    presigner.refresh()
    assert presigner.ahead_total == 4


def test_a_route_that_was_given_up_while_it_was_signed_is_forgotten() -> None:
    clock = ManualClock()

    class GivingUp(CountingSigner):
        def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
            presigner.unwatch((method, path))
            return super().headers(method, path, now_ms)

    presigner = Presigner(GivingUp(), clock, [ORDERS])
    presigner.refresh()

    assert presigner._ready == {}


def test_a_new_route_is_signed_before_those_that_only_grow_old() -> None:
    clock, signed = ManualClock(), list[str]()
    old = [("POST", f"/old/{n}") for n in range(20)]

    class Noting(CountingSigner):
        def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
            signed.append(path)
            if len(signed) == 25:
                presigner.watch(("POST", "/new"))
            return super().headers(method, path, now_ms)

    presigner = Presigner(Noting(), clock, old)
    presigner.refresh()
    clock.advance(int(REFRESH_S * 1e9))
    presigner.refresh()

    assert signed.index("/new") == 25
    assert len(signed) == 41


class HeldSigner(CountingSigner):
    """Lets the thread sign only while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self.is_open = threading.Event()
        self.is_open.set()
        self.is_held = threading.Event()
        self.paths: list[str] = []

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        if threading.current_thread().name == "presign":
            if not self.is_open.is_set():
                self.is_held.set()
            assert self.is_open.wait(5)
        self.paths.append(path)
        return super().headers(method, path, now_ms)


def watched_behind_others(presigner: Presigner, signer: HeldSigner) -> None:
    """Have the thread hold one signature while nine more and that of `TRIGGER` wait behind it."""
    signer.is_open.clear()
    presigner.watch(*(("POST", f"/other/{n}") for n in range(10)), TRIGGER)
    assert signer.is_held.wait(5)


async def test_a_hurried_route_is_signed_before_those_that_wait_and_never_by_the_caller() -> None:
    clock, signer = ManualClock(), HeldSigner()
    with Presigner(signer, clock, [ORDERS]) as presigner:
        watched_behind_others(presigner, signer)
        presigner.hurry(TRIGGER)
        signer.threads.clear()
        signer.is_open.set()
        await presigner.wait(TRIGGER)
        presigner.headers(*TRIGGER, clock.now_ns() // 1_000_000)

    assert signer.paths.index(TRIGGER[1]) == 2, "after the one for the start and the one under way"
    assert set(signer.threads) == {"presign"}
    assert (presigner.hurried_total, presigner.inline_total) == (1, 0)


async def test_what_was_signed_in_time_is_no_wait_and_what_was_not_is_counted() -> None:
    clock, signer = ManualClock(), HeldSigner()
    with Presigner(signer, clock, [ORDERS]) as presigner:
        await presigner.wait(ORDERS)
        assert presigner.waits_total == 0

        watched_behind_others(presigner, signer)
        waiting = asyncio.create_task(presigner.wait(TRIGGER))
        await asyncio.sleep(0)
        assert not waiting.done()
        clock.advance(7_000_000)
        signer.is_open.set()
        await waiting

    assert (presigner.waits_total, presigner.waited_ns) == (1, 7_000_000)
    assert presigner.inline_total == 0


async def test_a_thread_that_does_not_come_costs_a_bounded_wait_and_an_inline_signature() -> None:
    clock, signer = ManualClock(), HeldSigner()
    with Presigner(signer, clock, [ORDERS]) as presigner:
        watched_behind_others(presigner, signer)
        async with asyncio.timeout(WAIT_MAX_S * 40):
            await presigner.wait(TRIGGER)
        presigner.headers(*TRIGGER, clock.now_ns() // 1_000_000)
        signer.is_open.set()

    assert (presigner.waits_total, presigner.inline_total) == (1, 1)


@pytest.mark.parametrize("route", [TRIGGER, ORDERS])
async def test_without_a_thread_nobody_waits(route: tuple[str, str]) -> None:
    clock, signer = ManualClock(), CountingSigner()
    presigner = Presigner(signer, clock, [ORDERS])
    presigner.hurry(route)
    await presigner.wait(route)
    presigner.headers(*route, clock.now_ns() // 1_000_000)

    assert presigner.waits_total == presigner.hurried_total == 0
    assert presigner.inline_total + presigner.unwatched_total == 1
    assert signer.threads == ["MainThread"]

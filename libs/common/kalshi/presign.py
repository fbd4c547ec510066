"""Keep signed headers ready for the paths on which latency matters.

The signature covers stamp, method and path, and neither body nor query, so the
headers of a constant path can be made before the order exists, and those of its
changes as soon as it has an id. An RSA signature costs 0.3 ms, more than everything
else on the order path together; a thread makes them every two seconds and the event
loop only looks them up. The library signs without the interpreter's lock, so the
thread takes a core for a moment and never the loop (measured, ADR 0017).

Rules of the file:

1. An entry is used while its stamp is less than ``MAX_AGE_MS`` old by the wall
   clock, the same clock that the venue compares with (it accepts 5 s at least,
   kalshi-api 2.3). A stamp from the future means that the clock was stepped.
2. Who may wait asks for the route first (`hurry`, `wait`): the thread signs it before
   all others, while the order's intent is stored, and the event loop does not sign.
   Cancels never wait for a thread. No usable entry after that: sign inline. A dead
   thread costs latency and nothing else.
3. Entries are replaced whole; the loop sees the old or the new, never a mix.
4. A route that has no entry yet is signed before any that only grows old: the order it
   belongs to may be changed within the millisecond.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Self

from libs.common.kalshi.signing import STAMP_HEADER, Signer
from libs.common.runtime.clock import Clock

MAX_AGE_MS: Final = 4_000
REFRESH_S: Final = 2.0
"""An entry of this age is made anew; what is looked at twice in that time never reaches `MAX_AGE_MS`."""

WAIT_MAX_S: Final = 0.05
"""Longest wait of a request for the thread; some hundred signatures."""

Route = tuple[str, str]
"""Upper-case method and path from the host's root."""


class Presigner:
    """Signed headers, ready for watched routes, made on demand for all others.

    Use as a context manager, or call `start` and `stop`. Unstarted it still
    signs, inline.
    """

    def __init__(
        self, signer: Signer, clock: Clock, routes: Iterable[Route] = (), *, refresh_s: float = REFRESH_S
    ) -> None:
        self._signer = signer
        self._clock = clock
        self._refresh_s = refresh_s
        self._routes: frozenset[Route] = frozenset(routes)
        self._ready: dict[Route, tuple[int, dict[str, str]]] = {}
        self._first: deque[tuple[Route, Callable[[], object]]] = deque()
        """To be signed before all others, and whom to tell."""
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self.ahead_total = 0
        """Signatures made by the thread, or before it was started."""
        self.hurried_total = 0
        """Those of them that `hurry` asked for out of turn, while the order's intent was stored."""
        self.waits_total = 0
        """Requests that were about to leave and had to wait for the thread's signature."""
        self.waited_ns = 0
        """How long all of them waited together."""
        self.inline_total = 0
        """Requests on watched routes that were signed in the caller's thread."""
        self.unwatched_total = 0
        """Requests on other routes, all of them signed in the caller's thread."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def routes(self) -> frozenset[Route]:
        """Return the watched routes."""
        return self._routes

    def watch(self, *routes: Route) -> None:
        """Watch more constant routes, for example the trigger of a new order group."""
        self._routes |= frozenset(routes)
        self._first.extend((route, _nobody) for route in routes)
        self._wake.set()

    def unwatch(self, *routes: Route) -> None:
        """Stop watching routes that are no longer wanted."""
        self._routes -= frozenset(routes)
        for route in routes:
            self._ready.pop(route, None)

    def hurry(self, *routes: Route) -> None:
        """Have the thread sign these before all others, where they are not ready; does not wait."""
        now_ms = self._clock.now_ns() // 1_000_000
        for route in routes:
            if self._is_running and self._usable(route, now_ms) is None:
                self.hurried_total += 1
                self._ask(route, _nobody)

    async def wait(self, route: Route) -> None:
        """Return when a watched route is ready, at once if it is; counted and bounded if not.

        For a request that is about to leave. Whatever comes of it, `headers` works afterwards.
        """
        is_ready = self._usable(route, self._clock.now_ns() // 1_000_000) is not None
        if is_ready or not self._is_running or route not in self._routes:
            return
        began_ns = self._clock.mono_ns()
        loop = asyncio.get_running_loop()
        signed = asyncio.Event()
        self._ask(route, lambda: loop.call_soon_threadsafe(signed.set))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_MAX_S):
                await signed.wait()
        self.waits_total += 1
        self.waited_ns += self._clock.mono_ns() - began_ns

    def start(self) -> None:
        """Sign all watched routes once, then keep them fresh in a thread."""
        assert self._thread is None, "started twice"
        self.refresh()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="presign", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Headers are signed inline from now on once the ready ones are old."""
        self._is_stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def refresh(self) -> None:
        """Sign every watched route whose headers are missing or due."""
        for route in self._routes:
            self._sign_first()
            self._sign_if_due(route)
        self._sign_first()
        # A route may have been given up while it was being signed.
        for route in set(self._ready) - self._routes:
            self._ready.pop(route, None)

    def _ask(self, route: Route, tell: Callable[[], object]) -> None:
        self._first.appendleft((route, tell))
        self._wake.set()

    def _sign_first(self) -> None:
        while self._first:
            route, tell = self._first.popleft()
            self._sign_if_due(route)
            with contextlib.suppress(RuntimeError):  # the loop that waited is closed
                tell()

    @property
    def _is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _usable(self, route: Route, now_ms: int) -> dict[str, str] | None:
        ready = self._ready.get(route)
        return ready[1] if ready is not None and 0 <= now_ms - ready[0] < MAX_AGE_MS else None

    def _sign_if_due(self, route: Route) -> None:
        now_ms = self._clock.now_ns() // 1_000_000
        ready = self._ready.get(route)
        if route in self._routes and (ready is None or not 0 <= now_ms - ready[0] < self._refresh_s * 1_000):
            self._ready[route] = (now_ms, self._signer.headers(*route, now_ms))
            self.ahead_total += 1

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Return fresh headers; must not be changed by the caller."""
        route = (method, path)
        if (ready := self._usable(route, now_ms)) is not None:
            return ready
        if route in self._routes:
            self.inline_total += 1
        else:
            self.unwatched_total += 1
        return self._signer.headers(method, path, now_ms)

    def fresh(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Return headers signed now, whatever is ready: the venue found the ready ones too old."""
        self._ready.pop((method, path), None)
        self._wake.set()
        return self._signer.headers(method, path, now_ms)

    def stamp_of(self, headers: dict[str, str]) -> int:
        """Return the stamp of signed headers in Unix milliseconds."""
        return int(headers[STAMP_HEADER])

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.wait(self._refresh_s / 2)
            self._wake.clear()
            if not self._is_stopping:
                self.refresh()


def _nobody() -> None:
    """Stand for a caller who does not wait."""

"""Keep signed headers ready for the few paths on which latency matters.

The signature covers stamp, method and path, and neither body nor query, so the
headers of a constant path can be made before the order exists. An RSA signature
costs a quarter of a millisecond, more than everything else on the order path
together; a thread makes them every second and the event loop only looks them up.

Rules of the file:

1. An entry is used while its stamp is less than ``MAX_AGE_MS`` old by the wall
   clock, the same clock that the venue compares with (it accepts 5 s at least,
   kalshi-api 2.3). A stamp from the future means that the clock was stepped.
2. No usable entry: sign inline. A dead thread costs latency and nothing else.
3. Entries are replaced whole; the loop sees the old or the new, never a mix.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final, Self

from libs.common.kalshi.signing import STAMP_HEADER, Signer
from libs.common.runtime.clock import Clock

MAX_AGE_MS: Final = 4_000
REFRESH_S: Final = 1.0

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
        self._wake = threading.Event()
        self._is_stopping = False
        self._thread: threading.Thread | None = None
        self.inline_total = 0
        """Requests on watched routes that had to be signed inline."""

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
        self._wake.set()

    def unwatch(self, *routes: Route) -> None:
        """Stop watching routes that are no longer wanted."""
        self._routes -= frozenset(routes)
        for route in routes:
            self._ready.pop(route, None)

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
        """Sign every watched route now."""
        for method, path in self._routes:
            now_ms = self._clock.now_ns() // 1_000_000
            self._ready[method, path] = (now_ms, self._signer.headers(method, path, now_ms))

    def headers(self, method: str, path: str, now_ms: int) -> dict[str, str]:
        """Return fresh headers; must not be changed by the caller."""
        route = (method, path)
        ready = self._ready.get(route)
        if ready is not None and 0 <= now_ms - ready[0] < MAX_AGE_MS:
            return ready[1]
        if route in self._routes:
            self.inline_total += 1
        return self._signer.headers(method, path, now_ms)

    def stamp_of(self, headers: dict[str, str]) -> int:
        """Return the stamp of signed headers in Unix milliseconds."""
        return int(headers[STAMP_HEADER])

    def _run(self) -> None:
        while not self._is_stopping:
            self._wake.wait(self._refresh_s)
            self._wake.clear()
            if not self._is_stopping:
                self.refresh()

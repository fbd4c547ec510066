"""Append orders, fills, results and audits in the order they happened, without anyone waiting.

Each append is retried until it is stored: a message id makes the second try harmless.
The queue is bounded; if it fills, the journal has been away for so long that going on
would mean trading without a record, and the service ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from libs.common.bus.api import AppendRefused, Bus, BusUnavailable, Fence, OutcomeUnknown
from libs.common.messages.base import Wire, encode
from libs.common.messages.execution import AuditExecV1, FillV1, OrderV1, PositionV1, ResultV1
from libs.common.runtime.errors import ProcessEnd
from libs.common.runtime.log import EventLog
from libs.common.subjects import Subjects

_WAITING_MAX = 50_000
_RETRY_S = 0.25
_IN_FLIGHT_MAX = 4
_MANY = 64
"""More than so many waiting are stored several at a time: late fills would cost more than a late intent."""
_LATE_S = 0.25
_IN_FLIGHT_LATE = 16
"""A record that waited so long passes with so many others, however few wait: where each acknowledgement
takes a tenth of a second, sixty in a row would be seconds, and the reconciler would miss their fills."""
_LINGER_S = 0.02
_LINGER_MAX_S = 0.1
"""An intent, which an order waits for, must not queue behind records that nobody waits for: they
linger while intents are being stored, and an order's states of that time become one record. A tick
brings its orders within a few milliseconds; the records of the first leave when the last has left."""


@dataclass(slots=True)
class _Waiting:
    subject: str
    data: bytes
    msg_id: str
    queued_s: float
    """When it began to wait, by the loop's clock; a state that is replaced goes on waiting since then."""
    is_fenced: bool = True
    """Stored under our epoch only: what a leader of the past says late would be read as the newest."""
    order_key: str = ""
    """Set while an order's record may still be replaced by a newer state of the same order."""


class JournalBlocked(ProcessEnd):
    """The journal took nothing for so long that the queue is full."""


class Publisher:
    """One queue and the task that empties it; positions go out at once, without the queue."""

    def __init__(self, bus: Bus, subjects: Subjects, account: str, run: str, log: EventLog) -> None:
        self._bus = bus
        self._subjects = subjects
        self._account = account
        self._run_id = run
        self._log = log
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._audits = 0
        self._intents_open = 0
        self._replaceable: dict[str, _Waiting] = {}
        self.fence: Callable[[], Fence | None] = lambda: None
        self.on_fence_refused: Callable[[Fence], None] = lambda _: None
        self.failures = 0
        self._late_s = _LATE_S

    @property
    def waiting(self) -> int:
        """Return how many appends are outstanding."""
        return len(self._waiting)

    def order(self, order: OrderV1, epoch: int) -> None:
        """Queue an order's newest state; a state still waiting is replaced in its place.

        The record says what is so now, not how it came: every request and answer has its
        own record. A synced write saved here is one that no intent waits behind.
        """
        # The epoch tells versions of two processes apart: each counts from 1. Client order ids name no
        # account, and two accounts of one environment share the stream.
        msg_id = f"order-{self._account}-{order.client_order_id}-{epoch}-{order.version}"
        key = f"{order.client_order_id}-{epoch}"
        waiting = self._replaceable.get(key)
        if waiting is not None:
            waiting.data, waiting.msg_id = encode(order), msg_id
            return
        self._put(self._subjects.of("order", order.market), order, msg_id, order_key=key)

    def fill(self, fill: FillV1) -> None:
        """Queue a fill; known by trade and order, so a second telling is dropped by the stream."""
        self._put(self._subjects.of("fill", fill.market), fill, f"fill-{fill.trade_id}-{fill.order_id}")

    def result(self, result: ResultV1) -> None:
        """Queue a batch's result."""
        msg_id = f"result-{self._account}-{result.epoch}-{result.batch}"
        self._put(self._subjects.of("exec.result", self._account), result, msg_id)

    def audit(self, audit: AuditExecV1) -> None:
        """Queue an execution event."""
        self._audits += 1
        msg_id = f"audit-{self._run_id}-{audit.epoch}-{self._audits}"
        self._put(self._subjects.of("audit.exec", self._account), audit, msg_id, is_fenced=False)

    @contextlib.contextmanager
    def intent(self) -> Iterator[None]:
        """Hold the queue's appends back to one at a time while an intent is being stored."""
        self._intents_open += 1
        try:
            yield
        finally:
            self._intents_open -= 1

    async def position(self, position: PositionV1) -> None:
        """Publish a position now; the next one replaces it, so a lost one is not repeated."""
        try:
            await self._bus.publish(self._subjects.of("position", position.market), encode(position))
        except BusUnavailable:
            self.failures += 1

    async def run(self) -> None:
        """Append for ever, in order, one under way at a time, a few where many wait or one waits long.

        One at a time would fall behind in a long burst: an acknowledgement takes a
        synced write and two hops. One connection keeps the order; a record that
        has to be repeated may follow its successors, which carry their versions.
        """
        while True:
            await self._linger()
            while self._waiting:
                batch = list(itertools.islice(self._waiting, self._most()))
                for item in batch:
                    self._replaceable.pop(item.order_key, None)
                stored = await asyncio.gather(*(self._append(item) for item in batch))
                for _ in batch:
                    self._waiting.popleft()
                failed = [item for item, is_stored in zip(batch, stored, strict=True) if not is_stored]
                self._waiting.extendleft(reversed(failed))
                if failed:
                    await asyncio.sleep(_RETRY_S)
            self._wake.clear()
            self._empty.set()
            await self._wake.wait()

    def _most(self) -> int:
        if asyncio.get_running_loop().time() - self._waiting[0].queued_s > self._late_s:
            return _IN_FLIGHT_LATE
        # One at a time else: an intent that comes now has at most that one before it.
        return _IN_FLIGHT_MAX if len(self._waiting) > _MANY else 1

    async def _linger(self) -> None:
        waited_s = 0.0
        while waited_s < _LINGER_MAX_S and (waited_s == 0.0 or self._intents_open):
            await asyncio.sleep(_LINGER_S)
            waited_s += _LINGER_S

    async def flush(self, timeout_s: float) -> None:
        """Wait until everything is stored, or the time is up; `run` does the work."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()

    def _put(
        self, subject: str, message: Wire, msg_id: str, *, order_key: str = "", is_fenced: bool = True
    ) -> None:
        if len(self._waiting) >= _WAITING_MAX:
            raise JournalBlocked(f"at most {_WAITING_MAX} records waiting for the journal")
        queued_s = asyncio.get_running_loop().time()
        item = _Waiting(subject, encode(message), msg_id, queued_s, is_fenced, order_key)
        if order_key:
            self._replaceable[order_key] = item
        self._waiting.append(item)
        self._empty.clear()
        self._wake.set()

    async def _append(self, item: _Waiting) -> bool:
        # The fence is read anew with every try: after a takeover from itself the records are still ours.
        fence = self.fence() if item.is_fenced else None
        try:
            await self._bus.append(item.subject, item.data, msg_id=item.msg_id, fence=fence)
        except (BusUnavailable, OutcomeUnknown, AppendRefused) as e:
            if isinstance(e, AppendRefused) and e.is_fence and fence is not None:
                self.on_fence_refused(fence)
            self.failures += 1
            if self.failures % 20 == 1:
                self._log.event("BUS_ERROR", f"append not stored: {e}", level="WARNING", subject=item.subject)
            return False
        return True

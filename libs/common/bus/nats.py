"""The bus over a real NATS server, with every guard that the client was found to need.

The only module that imports nats-py. What each guard is for stands beside it;
`docs/adr/0002-bus-guards.md` lists them, and `tests/component/test_bus_guards.py`
reproduces each hazard against a real server. The two that shape the code:

- The client's own queues drop the newest message when full, and hand messages
  over in one more task. So subscriptions are made without callback and their
  queue is replaced by an intake that fills our inbox, or resolves the waiting
  question, right in the read loop. An intake must never raise: an exception
  there ends the read loop while the client goes on saying "connected".
- Nothing the client says about its connection is believed on its own. The
  process hears its own heartbeat (`echo_age_ns` counts from when it was *sent*,
  so that a frozen broker cannot make an old one look fresh), or it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NoReturn, cast
from weakref import WeakSet

import nats.errors
from nats.aio.client import Client, _validate_subject
from nats.aio.msg import Msg
from nats.micro import add_service
from nats.micro.request import Handler as EndpointHandler
from nats.micro.request import Request, ServiceError

from libs.common.bus.api import (
    NO_HEADERS,
    Ack,
    BusUnavailable,
    Fence,
    Handler,
    Message,
    OutcomeUnknown,
)
from libs.common.bus.echo import NEVER_HEARD_NS, Echo
from libs.common.bus.inbox import Delivery, Inbox, Line, Slots, was_cancelled
from libs.common.bus.layout import config_subject, stream_of
from libs.common.bus.questions import Questions
from libs.common.bus.running import End, Feed, Part, Running, Served
from libs.common.bus.sockets import bound_unsent_data
from libs.common.bus.stored import Follower, StoredMessages
from libs.common.bus.wire import (
    API,
    ack_or_error,
    append_headers,
    header_block,
    parse_ack,
    parse_headers,
    publish_command,
    sequence_of_reply,
)
from libs.common.env import Env
from libs.common.observability.metrics import Metrics
from libs.common.runtime.context import HEADER_PRODUCER, HEADER_RUN, received, travelling_headers
from libs.common.runtime.errors import BusClosed, HandlerFailed
from libs.common.runtime.log import EventLog
from libs.common.subjects import Stream, Subjects

EACH_LIMIT: Final = 65_536
"""Messages that may wait for a handler that needs each; more are lost, counted and reported."""
PING_S: Final = 1
PINGS_OUTSTANDING_MAX: Final = 2
RECONNECT_WAIT_S: Final = 0.25
_PULL: Final = b'{"batch":1,"expires":2000000000}'
_PULL_TIMEOUT_S: Final = 3.0
_STATUS: Final = "Status"
_NO_RESPONDERS: Final = "503"
_DRAIN_S: Final = 5.0
_DRAIN_DEAF_S: Final = 0.5
_DEAF_NS: Final = 1_500_000_000

_UNSENT = (
    nats.errors.OutboundBufferLimitError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.MaxPayloadError,
)
_Arrival = tuple[Msg, int]
_Accept = Callable[[Msg], bool]


def _any(_: Msg) -> bool:
    return True


class _Client(Client):
    """The client with a cheap way to send and to read headers."""

    _parse_header_lines = staticmethod(parse_headers)

    def send(self, subject: str, reply: str, block: bytes, data: bytes) -> None:
        """Write one message at once; what the client's own publish checks is checked, nothing is buffered.

        Its own goes through a queue and a task of its own. Order is kept: nothing
        is written past commands that still wait for that task.

        Raises:
            nats.errors.Error: Not sent, see `_UNSENT`.
        """
        _validate_subject(subject)
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        if self.is_draining_pubs:
            raise nats.errors.ConnectionDrainingError
        if not self.is_connected or self._transport is None:
            raise nats.errors.OutboundBufferLimitError
        if len(data) > self._max_payload:
            raise nats.errors.MaxPayloadError
        if self._pending_data_size > 0:
            self._transport.writelines(self._pending)
            self._pending = []
            self._pending_data_size = 0
        try:
            self._transport.write(publish_command(subject, reply, block, data))
        except RuntimeError:  # the transport is closed and nobody has noticed yet
            raise nats.errors.OutboundBufferLimitError from None
        self.stats["out_msgs"] += 1
        self.stats["out_bytes"] += len(data)


class _Intake:
    """Stands where the client keeps a subscription's queue; takes each message in the read loop itself."""

    def __init__(self, take: Callable[[Msg], None]) -> None:
        self._take = take

    def put_nowait(self, message: Msg) -> None:
        self._take(message)

    def qsize(self) -> int:
        return 0

    def empty(self) -> bool:
        return True

    def task_done(self) -> None:
        return

    async def join(self) -> None:
        return


class NatsBus:
    """One connection of one service; made by :meth:`connect`."""

    def __init__(
        self,
        name: str,
        env: Env,
        *,
        run: str,
        instance: str,
        metrics: Metrics | None,
        log: EventLog | None,
        on_closed: Callable[[BaseException], None] | None,
    ) -> None:
        self.subjects = Subjects(env)
        self.name = name
        self.errors: dict[str, int] = {}
        """Errors the client reported, by kind."""
        self._client = _Client()
        self._metrics = metrics or Metrics()
        self._log = log or EventLog(logging.getLogger("dora"))
        self._on_closed = on_closed
        self._constant = {HEADER_PRODUCER: f"{name}.{instance}"} | ({HEADER_RUN: run} if run else {})
        self._constant_block = header_block(self._constant)
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._is_ending = False
        self._questions: Questions[Msg] = Questions(name)
        self._live: list[Part] = []
        self._followers: WeakSet[Follower] = WeakSet()
        self._inboxes: WeakSet[Delivery[_Arrival]] = WeakSet()
        self._told: dict[str, int] = {}
        self._stored = StoredMessages(self._ask_bytes)
        self._echo = Echo()
        self._unsent_bounded = False

    @classmethod
    async def connect(
        cls,
        urls: str | Sequence[str],
        *,
        name: str,
        env: Env = Env.SIM,
        user: str = "",
        password: str = "",
        nkey_seed: str = "",
        run: str = "",
        instance: str = "1",
        metrics: Metrics | None = None,
        log: EventLog | None = None,
        timeout_s: float = 10.0,
        on_closed: Callable[[BaseException], None] | None = None,
    ) -> NatsBus:
        """Return a connected bus.

        Args:
            urls: One address, several, or several with commas between.
            name: The service; also its inbox prefix ``_R.<name>``, which permissions name.
            env: The subject root.
            user: Identity, with ``password``; empty where the server asks for none.
            password: Its password.
            nkey_seed: In place of both.
            run: Run id, sent as a header with everything.
            instance: Which one of several.
            metrics: Where counts go.
            log: Where events go.
            timeout_s: Everything included: a wrong TLS setup makes the client try for ever (nats.py #718).
            on_closed: Called once when the connection is gone for good or a handler failed.

        Raises:
            BusUnavailable: No connection in time, or refused.
        """
        bus = cls(name, env, run=run, instance=instance, metrics=metrics, log=log, on_closed=on_closed)
        servers = [url.strip() for url in urls.split(",")] if isinstance(urls, str) else list(urls)
        options: dict[str, Any] = {}
        if nkey_seed:
            options["nkeys_seed_str"] = nkey_seed
        elif user:
            options |= {"user": user, "password": password}
        try:
            async with asyncio.timeout(timeout_s):
                await bus._open(servers, options)
        except (TimeoutError, OSError, nats.errors.Error) as e:
            bus._is_ending = True
            with contextlib.suppress(Exception):
                await bus._client.close()
            shown = ", ".join(server.rpartition("@")[2] for server in servers)
            why = bus._client.last_error or e
            raise BusUnavailable(f"a NATS server at {shown} in {timeout_s} s, was: {_said(why)}") from None
        return bus

    async def _open(self, servers: list[str], options: dict[str, Any]) -> None:
        await self._client.connect(
            servers,
            name=f"dora-{self.name}",
            # Quotes and commands of before a break must not arrive after it (fact 3).
            pending_size=0,
            # A frozen broker is noticed in 3 s instead of 4 min (fact 5).
            ping_interval=PING_S,
            max_outstanding_pings=PINGS_OUTSTANDING_MAX,
            max_reconnect_attempts=-1,
            reconnect_time_wait=cast("int", RECONNECT_WAIT_S),
            connect_timeout=2,
            inbox_prefix=f"_R.{self.name}",
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed_for_good,
            **options,
        )
        self._guard_socket()
        await self._subscribe(
            f"{self._questions.inbox}*", None, lambda answer: self._questions.take(answer.subject, answer)
        )
        self._metrics.gauge("bus_connected", 1)

    # -- the connection ---------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Return whether the client is connected and its read loop lives (facts 8, 8b)."""
        reader = self._client._reading_task  # noqa: SLF001 - nothing public tells
        return bool(self._client.is_connected) and reader is not None and not reader.done()

    @property
    def echo_age_ns(self) -> int:
        """Return how long ago the newest own beat that came back was sent."""
        return self._echo.age_ns

    @property
    def is_unsent_data_bounded(self) -> bool:
        """Return whether the kernel gives up on unsent data (not every system can)."""
        return self._unsent_bounded

    async def watch(self) -> NoReturn:
        """Wait until the bus cannot be used any more, and raise why; for the service's task group.

        Raises:
            BusClosed: The client closed for good.
            HandlerFailed: A handler raised; its cause is attached.
        """
        await asyncio.shield(self._failed)
        raise AssertionError("only an exception ends the wait")

    async def start_echo(self, subject: str, make_beat: Callable[[int], bytes]) -> None:
        """Publish the beat twice a second and hear it: the one check that covers facts 4, 6, 8 and 8b."""
        await self._subscribe(subject, None, lambda beat: self._echo.take(beat.headers or NO_HEADERS))
        self._echo.start(subject, make_beat, self.publish, self._fail)

    def sample(self) -> None:
        """Bring the counters up to date; for whoever exports them, twice a second."""
        stats = self._client.stats
        self._count_up("bus_published_total", stats["out_msgs"])
        self._count_up("bus_received_total", stats["in_msgs"])
        self._count_up("bus_conflated_total", sum(delivery.inbox.replaced for delivery in self._inboxes))

    def _count_up(self, name: str, now: int) -> None:
        self._metrics.count(name, max(0, now - self._told.get(name, 0)))
        self._told[name] = now

    def _guard_socket(self) -> None:
        # After every connect: the option belongs to the socket, not to the client (fact 6).
        transport = self._client._transport  # noqa: SLF001 - nothing public tells
        writer = getattr(transport, "_io_writer", None)
        self._unsent_bounded = bound_unsent_data(
            writer.get_extra_info("socket") if writer is not None else None
        )

    async def _on_error(self, error: Exception) -> None:
        """Count; never raise and never wait: this runs in the read loop (fact 8)."""
        with contextlib.suppress(Exception):
            kind = type(error).__name__
            self.errors[kind] = self.errors.get(kind, 0) + 1
            self._metrics.count("bus_errors_total", kind=kind)
            self._log.once(f"bus {kind}", "BUS_ERROR", str(error))

    async def _on_disconnected(self) -> None:
        with contextlib.suppress(Exception):
            self._metrics.gauge("bus_connected", 0)
            self._questions.fail_all("the connection broke")
            if not self._is_ending:
                self._log.event("BUS_DISCONNECTED", level="WARNING")

    async def _on_reconnected(self) -> None:
        with contextlib.suppress(Exception):
            self._guard_socket()
            self._metrics.gauge("bus_connected", 1)
            self._metrics.count("bus_reconnects_total")
            for follower in tuple(self._followers):
                follower.wake()
            self._log.event("BUS_CONNECTED", "reconnected")

    async def _on_closed_for_good(self) -> None:
        # Without this the process lives on as a zombie, for example after a password change (fact 21).
        if not self._is_ending:
            self._fail(BusClosed(f"a bus connection, was closed for good: {self._client.last_error}"))

    def _fail(self, error: BaseException) -> None:
        if self._failed.done():
            return
        if not isinstance(error, BusClosed):
            failed = HandlerFailed(f"a handler that returns, was {type(error).__name__}: {error}")
            failed.__cause__ = error
            error = failed
        self._failed.set_exception(error)
        self._failed.exception()  # whoever watches raises it; nobody watching is no second error
        if self._on_closed is not None:
            self._on_closed(error)

    def _forget(self, part: Part) -> None:
        """Drop what has stopped from the list that `drain` ends."""
        with contextlib.suppress(ValueError):
            self._live.remove(part)

    async def drain(self) -> None:
        """Finish what is being handled, then close.

        The client's own drain flushes with a timeout, which may kill its read
        loop (fact 8b); this stops the feeds and lets the close write what is left.
        """
        if self._is_ending:
            return
        self._is_ending = True
        await self._echo.stop()
        # A server that stopped answering gets no long farewell.
        is_deaf = not self.is_connected or _DEAF_NS < self.echo_age_ns < NEVER_HEARD_NS
        try:
            async with asyncio.timeout(_DRAIN_DEAF_S if is_deaf else _DRAIN_S):
                for part in tuple(self._live):
                    await part.finish()
                await self._client.close()
        except (TimeoutError, OSError, RuntimeError, nats.errors.Error) as e:
            # RuntimeError: the client writes what is left to a transport that is closed already.
            self._log.event("BUS_ERROR", f"drain: {_said(e)}", level="WARNING")
        self._metrics.gauge("bus_connected", 0)

    # -- core messages ------------------------------------------------------------------

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str] = NO_HEADERS) -> None:
        """Send on core NATS; never buffered across a disconnect."""
        self._send(subject, data, self._block(headers))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        """Return what goes with every message, what is bound, and the caller's own."""
        travelling = travelling_headers()
        if not travelling and not headers:
            return self._constant_block
        return header_block({**self._constant, **travelling, **headers})

    def _send(self, subject: str, data: bytes, block: bytes, reply: str = "") -> None:
        try:
            self._client.send(subject, reply, block, data)
        except _UNSENT as e:
            raise BusUnavailable(f"{subject} on its way, was not sent: {type(e).__name__}") from None

    async def respond(self, message: Message, data: bytes) -> None:
        """Answer, where an answer is wanted."""
        if message.reply is not None:
            self._send(message.reply, data, self._constant_block)

    async def latest(self, pattern: str, handler: Handler, *, queue: str | None = None) -> Feed:
        """Deliver the newest message of each subject under the pattern."""
        return await self._listen(pattern, queue, Slots(), handler, None)

    async def each(
        self,
        pattern: str,
        handler: Handler,
        *,
        queue: str | None = None,
        on_lost: Callable[[int], None] | None = None,
    ) -> Feed:
        """Deliver every message heard on core NATS, in order."""
        return await self._listen(pattern, queue, Line(EACH_LIMIT), handler, on_lost)

    async def _listen(
        self,
        pattern: str,
        queue: str | None,
        inbox: Inbox[_Arrival],
        handler: Handler,
        on_lost: Callable[[int], None] | None,
    ) -> Feed:
        delivery = Delivery(inbox, _open_arrival, handler, partial(self._lost, pattern, on_lost), self._fail)
        clock = time.monotonic_ns

        def take(message: Msg) -> None:
            delivery.put(message.subject, (message, clock()))

        end = await self._subscribe(pattern, queue, take)
        delivery.start()
        self._inboxes.add(delivery)
        subscription = Feed(end, delivery, self._forget)
        self._live.append(subscription)
        return subscription

    async def _subscribe(self, pattern: str, queue: str | None, take: Callable[[Msg], None]) -> End:
        """Have each message taken in the read loop; the result takes the subscription off the server."""
        try:
            # No byte limit: nothing waits in the client any more.
            feed = await self._client.subscribe(pattern, queue=queue or "", pending_bytes_limit=0)
        except nats.errors.Error as e:
            raise BusUnavailable(f"a subscription to {pattern}, was refused: {_said(e)}") from None
        early = feed._pending_queue  # noqa: SLF001 - the seam of this design, pinned by test_bus_guards
        feed._pending_queue = cast("asyncio.Queue[Msg]", _Intake(take))  # noqa: SLF001 - the same
        while not early.empty():
            take(early.get_nowait())

        async def end() -> None:
            with contextlib.suppress(nats.errors.Error):
                await feed.unsubscribe()

        return end

    def _lost(self, pattern: str, on_lost: Callable[[int], None] | None, count: int) -> None:
        self._metrics.count("bus_lost_total", count)
        self._log.once(f"lost {pattern}", "BUS_LOST", pattern=pattern, lost=count)
        if on_lost is not None:
            on_lost(count)

    # -- questions ------------------------------------------------------------------------

    async def request(self, subject: str, data: bytes, *, timeout_s: float = 2.0) -> Message:
        """Ask and return the first answer."""
        answer = await self._ask(subject, data, self._block(NO_HEADERS), timeout_s)
        return _open_arrival((answer, time.monotonic_ns()))

    async def _ask_bytes(self, subject: str, data: bytes, timeout_s: float) -> bytes:
        return bytes((await self._ask(subject, data, self._constant_block, timeout_s)).data)

    async def _ask(
        self, subject: str, data: bytes, block: bytes, timeout_s: float, accept: _Accept = _any
    ) -> Msg:
        """Return the first answer that is accepted; "nobody listens" always is."""
        answer = await self._questions.ask(
            lambda reply: self._send(subject, data, block, reply),
            subject,
            timeout_s,
            lambda answer: accept(answer) or _is_nobody(answer),
        )
        if _is_nobody(answer):
            raise BusUnavailable(f"somebody who answers {subject}, was nobody")
        return answer

    async def serve(
        self, service: str, endpoints: Mapping[str, Handler], metadata: Mapping[str, str]
    ) -> Served:
        """Register a NATS micro service; ``metadata["version"]`` is its semantic version."""
        try:
            registered = await add_service(
                self._client,
                name=f"dora-{service}",
                version=metadata.get("version", "0.0.0"),
                description=f"dora {service} ({self.subjects.env.value})",
                metadata=dict(metadata),
            )
            for name, handler in endpoints.items():
                await registered.add_endpoint(
                    name=name,
                    subject=self.subjects.of("svc", service, name),
                    handler=self._endpoint(name, handler),
                    metadata={},
                )
        except nats.errors.Error as e:
            raise BusUnavailable(f"service {service} registered, was refused: {_said(e)}") from None

        async def end() -> None:
            with contextlib.suppress(nats.errors.Error):
                await registered.stop()

        running = Served(end, self._forget)
        self._live.append(running)
        return running

    def _endpoint(self, name: str, handler: Handler) -> EndpointHandler:
        """Return a handler that lets no exception text reach the wire (the client answers with the repr)."""

        async def answer(request: Request) -> None:
            message = _open_arrival((request._msg, time.monotonic_ns()))  # noqa: SLF001 - its reply is not public
            try:
                with received(message.headers):
                    await handler(message)
            except Exception as e:  # noqa: BLE001 - an endpoint's edge
                ref = uuid.uuid4().hex[:8]
                self._metrics.count("endpoint_requests_total", endpoint=name, outcome="failed")
                self._log.event("ENDPOINT_FAILED", level="ERROR", error=e, endpoint=name, ref=ref)
                if message.reply is not None:
                    raise ServiceError("500", f"internal error, ref {ref}") from None
            else:
                self._metrics.count("endpoint_requests_total", endpoint=name, outcome="answered")

        return answer

    # -- streams --------------------------------------------------------------------------

    async def append(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str,
        fence: Fence | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        timeout_s: float = 2.0,
    ) -> Ack:
        """Store one message and wait for the stream's acknowledgement."""
        started = time.perf_counter()
        block = self._block({**headers, **append_headers(msg_id, fence)})
        try:
            answer = await self._ask(subject, data, block, timeout_s, _is_ack)
            parsed = parse_ack(answer.data)
            assert parsed is not None, "accepted above"
            ack = ack_or_error(parsed, subject)
        except Exception as e:
            self._metrics.count("bus_append_failed_total", reason=type(e).__name__)
            raise
        self._metrics.observe("bus_append_seconds", time.perf_counter() - started)
        return ack

    async def last(self, subject: str) -> Message | None:
        """Return the newest stored message under the subject, from the stream's leader."""
        return await self._stored.last(self._stream(subject), subject)

    async def last_each(self, pattern: str) -> Sequence[Message]:
        """Return the newest stored message of every subject under the pattern, by sequence."""
        return await self._stored.last_each(self._stream(pattern), pattern)

    def read(self, pattern: str, *, from_sequence: int = 1) -> AsyncIterator[Message]:
        """Yield the stored messages under the pattern up to the present end."""
        return self._stored.read(self._stream(pattern), pattern, from_sequence)

    def read_all(self, stream: Stream, *, from_sequence: int = 1) -> AsyncIterator[Message]:
        """Yield everything a stream holds up to the present end, in the order it was stored."""
        return self._stored.read_all(self.subjects.stream_name(stream), from_sequence)

    async def follow(
        self, pattern: str, handler: Handler, *, from_sequence: int = 1, durable: str | None = None
    ) -> Running:
        """Deliver every stored message from a sequence on, then new ones."""
        stream = self._stream(pattern)
        if durable is not None:
            return await self._follow_durable(stream, durable, handler, from_sequence)
        return await self._follow(stream, pattern, handler, from_sequence)

    async def _follow(self, stream: str, pattern: str, handler: Handler, from_sequence: int) -> Running:
        await self._stored.info(stream)  # not there, or not allowed: said now, not found out by silence
        follower = Follower(self._stored, stream, pattern, from_sequence, partial(self._unreadable, pattern))
        end = await self._subscribe(pattern, None, lambda _: follower.wake())
        self._followers.add(follower)
        return self._start(follower.run(partial(_handle, handler)), Feed(end, None, self._forget))

    def _unreadable(self, pattern: str, error: BusUnavailable) -> None:
        self._metrics.count("bus_errors_total", kind="unreadable")
        self._log.once(f"unreadable {pattern}", "BUS_ERROR", str(error), pattern=pattern)

    def _start(self, work: Any, wake: Feed) -> Running:
        async def run() -> None:
            try:
                await work
            except Exception as e:  # noqa: BLE001 - a task's outermost frame: ends the service
                self._fail(e)
            except asyncio.CancelledError as e:
                if not was_cancelled():  # the handler's own doing: nobody asked this task to end
                    self._fail(e)
                raise

        running = Running(asyncio.get_running_loop().create_task(run()), wake, self._forget)
        self._live.append(running)
        return running

    async def _follow_durable(
        self, stream: str, durable: str, handler: Handler, from_sequence: int
    ) -> Running:
        """Ask for one message at a time: bigger pulls stall, their orphans eat messages (nats.py #986).

        A delivery carries the stored subject, so these answers need an inbox of their own.
        """
        inbox = f"_R.{self.name}.{uuid.uuid4().hex[:12]}"
        arrived: asyncio.Queue[Msg] = asyncio.Queue()
        end = await self._subscribe(inbox, None, arrived.put_nowait)
        subject = f"{API}CONSUMER.MSG.NEXT.{stream}.{durable}"

        async def pull() -> None:
            while True:
                try:
                    self._send(subject, _PULL, self._constant_block, inbox)
                    async with asyncio.timeout(_PULL_TIMEOUT_S):
                        found = await arrived.get()
                except TimeoutError:
                    continue
                except BusUnavailable:
                    await asyncio.sleep(RECONNECT_WAIT_S)
                    continue
                if not found.reply.startswith("$JS.ACK."):
                    if _is_nobody(found):
                        await asyncio.sleep(RECONNECT_WAIT_S)
                    continue  # "no messages" in the time asked for
                message = replace(
                    _open_arrival((found, time.monotonic_ns())),
                    reply=None,
                    sequence=sequence_of_reply(found.reply),
                )
                if message.sequence >= from_sequence:
                    await _handle(handler, message)
                with contextlib.suppress(BusUnavailable, OutcomeUnknown):  # redelivered then; handlers dedupe
                    await self._ask(found.reply, b"+ACK", self._constant_block, _PULL_TIMEOUT_S)

        return self._start(pull(), Feed(end, None, self._forget))

    def _stream(self, pattern: str) -> str:
        name = stream_of(self.subjects, pattern)
        if name is None:
            raise BusUnavailable(f"a pattern that a stream keeps, was {pattern!r}")
        return name

    # -- configuration bucket ---------------------------------------------------------------

    async def put_config(self, key: str, data: bytes) -> int:
        """Write a configuration entry."""
        subject = config_subject(self.subjects.env, key)
        return (await self.append(subject, data, msg_id=uuid.uuid4().hex)).sequence

    async def get_config(self, key: str) -> Message | None:
        """Return a configuration entry; an empty one counts as never written (deletion markers are empty)."""
        found = await self.last(config_subject(self.subjects.env, key))
        return self._entry(found) if found is not None and found.data else None

    async def watch_config(self, pattern: str, handler: Handler) -> Running:
        """Deliver the current entries, then each change."""
        full = config_subject(self.subjects.env, pattern)
        present = await self.last_each(full)

        async def open_entry(message: Message) -> None:
            await handler(self._entry(message))

        for message in present:
            await _handle(open_entry, message)
        newest = present[-1].sequence if present else 0
        return await self._follow(self._stream(full), full, open_entry, newest + 1)

    def _entry(self, message: Message) -> Message:
        return replace(message, subject=message.subject[len(config_subject(self.subjects.env, "")) :])


async def _handle(handler: Handler, message: Message) -> None:
    with received(message.headers):
        await handler(message)


def _open_arrival(arrival: _Arrival) -> Message:
    message, at_ns = arrival
    return Message(
        message.subject, message.data, message.headers or NO_HEADERS, message.reply or None, 0, at_ns
    )


def _is_ack(message: Msg) -> bool:
    return parse_ack(message.data) is not None


def _is_nobody(message: Msg) -> bool:
    return not message.data and (message.headers or NO_HEADERS).get(_STATUS) == _NO_RESPONDERS


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__

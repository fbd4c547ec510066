"""Each hazard of the client library, reproduced against a real server, and the guard that holds.

Where it is cheap the stock client is shown to fail first: a guard whose hazard
is gone may go too. The list is docs/adr/0002-bus-guards.md.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
import time
from pathlib import Path

import nats
import nats.errors
import nats.micro
import pytest
from nats.aio.msg import Msg

import libs.common.bus.nats as bus_nats
from libs.common.bus import stored
from libs.common.bus.api import AppendRefused, BusUnavailable, Message, OutcomeUnknown
from libs.common.bus.echo import NEVER_HEARD_NS
from libs.common.bus.nats import NatsBus
from libs.common.bus.sockets import UNSENT_MS_MAX
from libs.common.bus.streams import create_consumer, create_streams
from libs.common.env import Env
from libs.common.observability.metrics import Metrics
from libs.common.runtime.errors import BusClosed, HandlerFailed
from libs.common.runtime.log import EventLog
from libs.common.subjects import Stream, Subjects
from tests.support.bus import Connect
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer

BOOK = "dora.sim.md.book.A"
HALT = "dora.sim.ctl.halt.operator"

# The client leaves sockets of failed reconnections to the collector; that is its business, not the guard's.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
)


class Heard:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def data(self) -> list[bytes]:
        return [message.data for message in self.messages]


def is_alive(bus: NatsBus) -> bool:
    return bus.is_connected


async def test_a_message_published_while_disconnected_is_refused_and_never_sent_later(
    nats_server: NatsServer, connect: Connect
) -> None:
    """The stock client keeps it and sends it after the reconnection, as if it were fresh (fact 3)."""
    heard, stock_heard = Heard(), []
    listener = await connect(url=nats_server.url, name="listener")
    bus = await connect(url=nats_server.url, name="strategy")
    stock = await nats.connect(nats_server.url, max_reconnect_attempts=-1, reconnect_time_wait=1)
    await listener.each("dora.sim.md.book.*", heard)

    async def note(message: Message) -> None:
        stock_heard.append(message.data)

    await listener.each("stock", note)
    nats_server.kill()
    await eventually(lambda: not bus.is_connected and not stock.is_connected)
    with pytest.raises(BusUnavailable):
        await bus.publish(BOOK, b"old quote")
    with pytest.raises(BusUnavailable):
        await bus.append(HALT, b"", msg_id="1")
    await stock.publish("stock", b"old quote")
    nats_server.start()
    await eventually(lambda: bus.is_connected and listener.is_connected and stock.is_connected, 10)
    await bus.publish(BOOK, b"new quote")
    await eventually(lambda: heard.data == [b"new quote"])
    await eventually(
        lambda: stock_heard == [b"old quote"], what="the hazard: the stock client sends the past"
    )
    await stock.close()


async def test_a_frozen_broker_is_noticed_within_four_seconds_by_client_and_echo(
    nats_server: NatsServer, connect: Connect
) -> None:
    bus = await connect(url=nats_server.url, name="executor")
    assert bus.echo_age_ns == NEVER_HEARD_NS
    await bus.start_echo("dora.sim.health.beat.executor.1", lambda counter: b"%d" % counter)
    await eventually(lambda: bus.echo_age_ns < 700_000_000)
    nats_server.freeze()
    frozen_at = time.monotonic()
    assert is_alive(bus), "nothing tells at first: that is the hazard"
    await eventually(lambda: bus.echo_age_ns > 1_500_000_000, 3)
    await eventually(lambda: not bus.is_connected, 4)
    assert time.monotonic() - frozen_at < 4.5
    nats_server.thaw()
    await eventually(lambda: is_alive(bus) and bus.echo_age_ns < 1_000_000_000, 10)


async def test_an_echo_that_was_delayed_is_old_although_it_just_arrived(
    nats_server: NatsServer, connect: Connect
) -> None:
    """After a freeze the broker delivers beats of before it; age counts from sending (fact 4)."""
    bus = await connect(url=nats_server.url, name="executor")
    await bus.start_echo("dora.sim.health.beat.executor.1", lambda counter: b"%d" % counter)
    await eventually(lambda: bus.echo_age_ns < 700_000_000)
    last_ns = bus._echo._sent_ns
    nats_server.freeze()
    await eventually(lambda: bus.echo_age_ns > 1_200_000_000, 3)
    await bus._echo.stop()
    await asyncio.sleep(0.3)  # the newest beat may have left a moment ago: now none is younger than this
    nats_server.thaw()
    await eventually(lambda: bus._echo._sent_ns > last_ns)
    assert bus.echo_age_ns > 200_000_000


async def test_another_process_of_the_same_name_does_not_count_as_own_echo(connect: Connect) -> None:
    one, two = await connect(name="executor"), await connect(name="executor")
    await one._subscribe(
        "dora.sim.health.beat.executor.1", None, lambda beat: one._echo.take(beat.headers or {})
    )
    await two.start_echo("dora.sim.health.beat.executor.1", lambda _: b"")
    await eventually(lambda: two.echo_age_ns < 700_000_000)
    assert one.echo_age_ns == NEVER_HEARD_NS


async def test_an_error_report_that_fails_does_not_kill_the_read_loop(
    nats_server: NatsServer, connect: Connect
) -> None:
    """The stock client stays "connected" and deaf when its error callback raises (fact 8)."""

    class BrokenLog(EventLog):
        def once(self, kind: str, event_type: str, message: str = "", **fields: object) -> int:
            raise RuntimeError("the log is broken too")

    heard = Heard()
    bus = await connect(url=nats_server.url, name="executor", log=BrokenLog())
    await bus.each("dora.sim.ctl.halt.>", heard)
    await bus._client._ps.parse(b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n")
    await bus._on_error(RuntimeError("anything"))
    assert bus.errors["RuntimeError"] == 1
    other = await connect(url=nats_server.url, name="operator")
    await other.publish(HALT, b"stop")
    await eventually(lambda: heard.data == [b"stop"])
    assert bus.is_connected


async def test_a_flush_that_times_out_kills_the_stock_client_and_ours_never_flushes(
    nats_server: NatsServer, connect: Connect
) -> None:
    """The late answer completes a cancelled future and ends the read loop, "connected" still (fact 8b)."""
    bus = await connect(url=nats_server.url, name="executor")
    stock = await nats.connect(nats_server.url)
    nats_server.freeze()
    for client in (stock, bus._client):
        with pytest.raises(nats.errors.TimeoutError):
            await client.flush(timeout=0.1)  # type: ignore[arg-type]  # a short one, as a careless caller would
    nats_server.thaw()
    await eventually(lambda: stock._reading_task is not None and stock._reading_task.done())
    assert stock.is_connected, "the hazard: deaf, and says connected"
    assert bus._client.is_connected
    assert not bus.is_connected, "ours looks at the read loop as well"
    source = Path(bus_nats.__file__).read_text(encoding="utf-8")
    assert not re.search(r"\.(flush|rtt)\(", source)
    await stock.close()


async def test_a_burst_leaves_the_newest_of_each_market_where_the_stock_client_keeps_the_oldest(
    connect: Connect,
) -> None:
    bus, sender = await connect(name="strategy"), await connect(name="marketdata")
    url = sender._client.connected_url
    assert url is not None

    async def no_report(_: Exception) -> None:
        return

    stock_kept: list[bytes] = []
    stock = await nats.connect(url.geturl(), error_cb=no_report)

    async def stock_note(message: Msg) -> None:
        stock_kept.append(message.data)
        await asyncio.sleep(0.001)

    await stock.subscribe("dora.sim.md.book.*", cb=stock_note, pending_msgs_limit=64)
    heard, gate = Heard(), asyncio.Event()

    async def slow(message: Message) -> None:
        await gate.wait()
        await heard(message)

    await bus.latest("dora.sim.md.book.*", slow)
    await asyncio.sleep(0.05)
    for number in range(3_000):
        await sender.publish(f"dora.sim.md.book.M{number % 10}", b"%d" % number)
        if number % 500 == 0:
            await asyncio.sleep(0)
    await eventually(lambda: len(stock_kept) >= 50)
    await asyncio.sleep(0.1)
    gate.set()
    await eventually(lambda: len(heard.data) >= 10)
    assert sorted(heard.data[-10:]) == sorted(b"%d" % number for number in range(2_990, 3_000))
    assert len(heard.data) <= 11
    assert stock.stats["in_msgs"] == 3_000
    assert len(stock_kept) < 3_000, "the hazard: messages were dropped"
    await stock.close()


async def test_each_reports_what_a_limit_dropped(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus_nats, "EACH_LIMIT", 10)
    bus, sender = await connect(name="executor"), await connect(name="operator")
    heard, gate = Heard(), asyncio.Event()
    lost: list[int] = []

    async def slow(message: Message) -> None:
        await heard(message)
        await gate.wait()

    await bus.each("dora.sim.ctl.halt.>", slow, on_lost=lost.append)
    await bus.each("done", Heard())
    await asyncio.sleep(0.05)
    await sender.publish(HALT, b"first")
    await eventually(lambda: heard.data == [b"first"])
    for number in range(30):
        await sender.publish(HALT, b"%d" % number)
    await eventually(lambda: bus._client.stats["in_msgs"] >= 31)
    gate.set()
    await eventually(lambda: len(heard.data) == 11)
    assert lost == [20]
    assert heard.data[1:] == [b"%d" % number for number in range(20, 30)]


async def test_a_handler_that_raises_ends_the_bus_and_hears_nothing_more(connect: Connect) -> None:
    told: list[BaseException] = []
    bus = await connect(name="executor", on_closed=told.append)
    sender = await connect(name="operator")
    count = 0

    async def fail(_: Message) -> None:
        nonlocal count
        count += 1
        raise ValueError("our bug")

    await bus.each("dora.sim.fill.*", fail)
    await asyncio.sleep(0.05)
    await sender.publish("dora.sim.fill.A", b"1")
    await sender.publish("dora.sim.fill.A", b"2")
    with pytest.raises(HandlerFailed) as failed:
        await asyncio.wait_for(bus.watch(), 5)
    assert isinstance(failed.value.__cause__, ValueError)
    assert (count, told) == (1, [failed.value])


async def test_a_handler_that_lets_a_cancellation_escape_ends_the_bus_too(connect: Connect) -> None:
    """Otherwise the delivering task would end without a word, and the subscription would be deaf."""
    bus, sender = await connect(name="executor"), await connect(name="operator")

    async def await_what_was_cancelled(_: Message) -> None:
        work = asyncio.create_task(asyncio.sleep(60))
        work.cancel()
        await work

    await bus.each("dora.sim.fill.*", await_what_was_cancelled)
    await asyncio.sleep(0.05)
    await sender.publish("dora.sim.fill.A", b"1")
    with pytest.raises(HandlerFailed, match="CancelledError"):
        await asyncio.wait_for(bus.watch(), 5)


async def test_what_was_sent_received_and_replaced_is_counted(connect: Connect) -> None:
    metrics = Metrics()
    bus = await connect(name="executor", metrics=metrics)
    gate = asyncio.Event()

    async def slow(_: Message) -> None:
        await gate.wait()

    await bus.latest("dora.sim.md.book.*", slow)
    await asyncio.sleep(0.05)
    for number in range(10):
        await bus.publish(BOOK, b"%d" % number)

    def conflated() -> float:
        bus.sample()
        return metrics.value("bus_conflated_total")

    await eventually(lambda: conflated() >= 8)
    assert metrics.value("bus_published_total") >= 10
    assert metrics.value("bus_received_total") >= 10
    gate.set()


async def test_the_stock_endpoint_tells_the_exception_and_ours_a_reference(connect: Connect) -> None:
    bus, asker = await connect(name="executor"), await connect(name="operator")

    async def broken(_: object) -> None:
        raise RuntimeError("/keys/private.pem")

    stock = await nats.micro.add_service(bus._client, name="stock", version="0.1.0")
    await stock.add_endpoint(name="stock", subject="stock", handler=broken)
    await bus.serve("executor", {"status": broken}, {"version": "0.1.0"})
    await asyncio.sleep(0.05)
    answer = await asker.request("stock", b"")
    assert "private.pem" in answer.headers["Nats-Service-Error"], "the hazard"
    answer = await asker.request("dora.sim.svc.executor.status", b"")
    assert answer.headers["Nats-Service-Error-Code"] == "500"
    assert "private.pem" not in str(answer)
    assert re.fullmatch(r"internal error, ref [0-9a-f]{8}", answer.headers["Nats-Service-Error"])
    await asker.publish("dora.sim.svc.executor.status", b"no reply subject")
    answer = await asker.request("dora.sim.svc.executor.status", b"")
    assert answer.headers["Nats-Service-Error-Code"] == "500", (
        "still there after a request without reply subject"
    )


async def test_an_append_that_timed_out_may_be_stored_and_its_id_tells(
    nats_server: NatsServer, connect: Connect
) -> None:
    """A timeout is an unknown outcome, for NATS as for the venue (fact 12)."""
    await create_streams(nats_server.url, Env.SIM)
    bus = await connect(url=nats_server.url, name="executor")
    nats_server.freeze()
    with pytest.raises(OutcomeUnknown):
        await bus.append("dora.sim.exec.intent.main", b"i", msg_id="epoch-1", timeout_s=0.2)
    nats_server.thaw()
    again = await bus.append("dora.sim.exec.intent.main", b"i", msg_id="epoch-1")
    assert again.is_duplicate


async def test_a_question_in_flight_fails_when_the_connection_breaks(
    nats_server: NatsServer, connect: Connect
) -> None:
    bus = await connect(url=nats_server.url, name="executor")
    await bus.each("mute", Heard())
    await asyncio.sleep(0.05)
    asked = asyncio.create_task(bus.request("mute", b"", timeout_s=60))
    await asyncio.sleep(0.05)
    nats_server.kill()
    with pytest.raises(OutcomeUnknown):
        await asyncio.wait_for(asked, 5)


async def test_a_stream_that_is_full_refuses_while_reads_and_core_messages_pass(
    streams_url: str, connect: Connect
) -> None:
    """So a halt must not need JetStream to take effect (fact 15)."""
    bus = await connect(name="executor")
    info = await bus._stored.info("SIM_CONTROL")
    small = {**info.config, "max_bytes": 4_096}
    await bus.request("$JS.API.STREAM.UPDATE.SIM_CONTROL", json.dumps(small).encode())
    heard = Heard()
    await bus.each("dora.sim.ctl.halt.>", heard)

    async def fill() -> None:
        for number in range(20):
            await bus.append("dora.sim.ctl.limit.x", b"x" * 500, msg_id=str(number))

    with pytest.raises(AppendRefused) as refused:
        await fill()
    assert not refused.value.is_fence
    await bus.publish(HALT, b"stop")
    await eventually(lambda: heard.data == [b"stop"])
    last = await bus.last("dora.sim.ctl.limit.>")
    assert last is not None


async def test_an_append_takes_the_streams_word_and_not_somebody_elses(
    streams_url: str, connect: Connect
) -> None:
    """A halt is answered by the stream and by the executor; either may be first (fact 16)."""
    executor, operator = await connect(name="executor"), await connect(name="operator")

    async def answer(message: Message) -> None:
        await executor.respond(message, b'{"state":"halted","epoch":7}')
        await executor.respond(message, b"not even JSON")

    await executor.each("dora.sim.ctl.halt.>", answer)
    await asyncio.sleep(0.05)
    for number in range(20):
        ack = await operator.append(HALT, b"stop", msg_id=str(number))
        assert ack.sequence == number + 2, "the first is the halt that `init` wrote"


async def test_the_callers_headers_are_left_alone(streams_url: str, connect: Connect) -> None:
    bus = await connect(name="executor")
    mine = {"k": "v"}
    await bus.append(HALT, b"", msg_id="1", headers=mine)
    await bus.publish(HALT, b"", mine)
    assert mine == {"k": "v"}


@pytest.mark.skipif(sys.platform != "linux", reason="the option is Linux's; macOS has another")
async def test_unsent_data_is_bounded_on_every_socket_of_the_connection(
    nats_server: NatsServer, connect: Connect
) -> None:
    bus = await connect(url=nats_server.url, name="executor")

    def limit() -> int:
        transport = bus._client._transport
        sock = transport._io_writer.get_extra_info("socket")  # type: ignore[union-attr]
        return int(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT))

    assert bus.is_unsent_data_bounded
    assert limit() == UNSENT_MS_MAX
    nats_server.restart()
    await eventually(lambda: bus._client.stats["reconnects"] == 1 and bus.is_connected, 10)
    await eventually(lambda: limit() == UNSENT_MS_MAX)


async def test_a_follower_goes_on_after_the_broker_came_back(
    nats_server: NatsServer, connect: Connect
) -> None:
    """The client's own watch and ordered consumer stay deaf for up to for ever (fact 7)."""
    await create_streams(nats_server.url, Env.SIM)
    bus = await connect(url=nats_server.url, name="executor")
    heard, entries = Heard(), Heard()
    await bus.follow("dora.sim.fill.>", heard)
    await bus.watch_config("strategy.>", entries)
    await bus.append("dora.sim.fill.A", b"1", msg_id="1")
    await eventually(lambda: heard.data == [b"1"])
    nats_server.restart()
    await eventually(lambda: bus._client.stats["reconnects"] == 1 and bus.is_connected, 10)
    await bus.append("dora.sim.fill.A", b"2", msg_id="2")
    await bus.put_config("strategy.A", b"x")
    await eventually(lambda: heard.data == [b"1", b"2"] and entries.data == [b"x"])


async def test_a_follower_of_what_is_not_there_is_told_at_once(connect: Connect) -> None:
    bus = await connect(name="executor")
    with pytest.raises(BusUnavailable):
        await bus.follow("dora.sim.fill.>", Heard())


async def test_a_follower_that_cannot_read_for_a_while_counts_it_and_goes_on(
    nats_server: NatsServer, connect: Connect
) -> None:
    await create_streams(nats_server.url, Env.SIM)
    metrics = Metrics()
    bus = await connect(url=nats_server.url, name="executor", metrics=metrics)
    heard = Heard()
    await bus.follow("dora.sim.fill.>", heard)
    nats_server.kill()
    await eventually(lambda: metrics.value("bus_errors_total", kind="unreadable") >= 1)
    nats_server.start()
    await eventually(lambda: bus.is_connected, 10)
    await bus.append("dora.sim.fill.A", b"1", msg_id="1")
    await eventually(lambda: heard.data == [b"1"])


async def test_a_follower_of_a_stream_that_was_made_anew_ends_the_process(
    streams_url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sequences start lower, so "the next after mine" would never come (fact 7)."""
    monkeypatch.setattr(stored, "_CHECK_S", 0.05)
    monkeypatch.setattr(stored, "_POLL_S", 0.05)
    bus, admin = await connect(name="executor"), await connect(name="init")
    heard = Heard()
    for number in range(5):
        await bus.append("dora.sim.fill.A", b"%d" % number, msg_id=str(number))
    await bus.follow("dora.sim.fill.>", heard)
    await eventually(lambda: len(heard.data) == 5)
    await admin.request("$JS.API.STREAM.DELETE.SIM_EXEC", b"")
    await create_streams(streams_url, Env.SIM)
    with pytest.raises(BusClosed, match="made anew"):
        await asyncio.wait_for(bus.watch(), 5)


async def test_a_durable_follower_acknowledges_after_the_handler_and_goes_on_where_it_was(
    streams_url: str, connect: Connect
) -> None:
    one, two = await connect(name="ledger"), await connect(name="ledger")
    await create_consumer(one, Subjects(Env.SIM), Stream.EXEC, "ledger", "dora.sim.fill.>")
    for number in range(40):
        await one.append("dora.sim.fill.A", b"%d" % number, msg_id=str(number))
    seen: list[bytes] = []

    async def fail_at_twenty(message: Message) -> None:
        if message.data == b"20":
            raise ValueError("not this one")
        seen.append(message.data)

    began = time.monotonic()
    await one.follow("dora.sim.fill.>", fail_at_twenty, durable="ledger")
    with pytest.raises(HandlerFailed):
        await asyncio.wait_for(one.watch(), 10)
    assert time.monotonic() - began < 2, "pulls of one message never stall (nats.py #986)"
    assert seen == [b"%d" % number for number in range(20)]
    info = await one.request("$JS.API.CONSUMER.INFO.SIM_EXEC.ledger", b"")
    assert b'"num_ack_pending":1' in info.data
    await two.request("$JS.API.CONSUMER.DELETE.SIM_EXEC.ledger", b"")


async def test_no_server_is_an_error_in_time_and_names_no_password() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"nats://me:hush@127.0.0.1:{sock.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(BusUnavailable) as unavailable:
            await NatsBus.connect(url, name="executor", timeout_s=0.5)
    assert time.monotonic() - began < 3
    assert "hush" not in str(unavailable.value)

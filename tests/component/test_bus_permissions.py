"""The rendered configuration is accepted by the real server, and its cells hold."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common.bus.api import BusError, Message
from libs.common.bus.nats import NatsBus
from libs.common.bus.permissions import STREAMS_READ, grants, render_server_config
from libs.common.bus.streams import create_streams
from libs.common.env import Env
from libs.common.subjects import FAMILIES, Subjects
from tests.support.eventually import eventually
from tests.support.nats_server import NatsServer, own_server

SERVICES = ("marketdata", "strategy", "executor", "reconciler", "riskguard")
USERS = {name: f"pw-{name}" for name in ("init", "operator", *SERVICES)}
SUBJECTS = Subjects(Env.SIM)


def render(port: int, http_port: int, store: str) -> str:
    return render_server_config(Env.SIM, store, port, http_port, USERS)


@pytest.fixture
def server() -> Iterator[NatsServer]:
    with own_server(render) as one:
        yield one


@pytest.fixture
async def buses(server: NatsServer) -> AsyncIterator[dict[str, NatsBus]]:
    await create_streams(server.url, Env.SIM, user="init", password=USERS["init"])
    opened = {
        name: await NatsBus.connect(server.url, name=name, user=name, password=USERS[name]) for name in USERS
    }
    yield opened
    for bus in opened.values():
        await bus.drain()


async def heard(buses: dict[str, NatsBus], speaker: str, subject: str) -> bool:
    """Return whether what the speaker publishes reaches the operator, who may hear everything."""
    got: list[Message] = []

    async def note(message: Message) -> None:
        got.append(message)

    listening = await buses["operator"].each(subject, note)
    await buses["operator"].last("dora.sim.ctl.>")
    refused = buses[speaker].errors.copy()
    await buses[speaker].publish(subject, b"{}")
    await eventually(lambda: got or buses[speaker].errors != refused, what=f"{speaker} on {subject}")
    await listening.stop()
    return bool(got)


async def test_every_service_may_publish_its_own_families_and_no_other_service_may(
    buses: dict[str, NatsBus],
) -> None:
    for family in FAMILIES:
        if family.publishers[0] not in SERVICES or family.name.startswith("ctl."):
            continue
        subject = SUBJECTS.of(family.name, "x")
        assert await heard(buses, family.publishers[0], subject), (family.publishers[0], subject)
        other = next(name for name in SERVICES if name not in family.publishers)
        assert not await heard(buses, other, subject), (other, subject)


@pytest.mark.parametrize(
    ("speaker", "subject", "is_allowed"),
    [
        ("operator", "dora.sim.ctl.halt.operator", True),
        ("operator", "dora.sim.ctl.halt.riskguard", False),
        ("operator", "dora.sim.ctl.resume.operator", False),
        ("operator", "dora.sim.target.A", False),
        ("strategy", "dora.sim.ctl.halt.strategy", False),
        ("strategy", "dora.sim.ctl.halt.operator", False),
        ("strategy", "dora.sim.exec.intent.main", False),
        ("riskguard", "dora.sim.exec.epoch.main", False),
        ("reconciler", "dora.sim.exec.intent.main", False),
        ("executor", "dora.sim.ctl.halt.executor", True),
        ("executor", "dora.sim.ctl.resume.operator", False),
        ("executor", "dora.sim.permit.risk.main", False),
        ("reconciler", "dora.sim.ctl.halt.reconciler", True),
        ("riskguard", "dora.sim.ctl.resume.operator", True),
        ("marketdata", "dora.sim.health.beat.marketdata.1", True),
        ("marketdata", "dora.sim.health.beat.executor.1", False),
        ("strategy", "$KV.sim-cfg.strategy.A", False),
    ],
)
async def test_a_cell_of_the_matrix(
    buses: dict[str, NatsBus], speaker: str, subject: str, is_allowed: bool
) -> None:
    if subject.startswith("$KV"):
        with pytest.raises(BusError):
            await buses[speaker].append(subject, b"{}", msg_id="x", timeout_s=0.3)
        return
    assert await heard(buses, speaker, subject) is is_allowed


async def test_services_answer_questions_and_nobody_takes_them_in_their_place(
    buses: dict[str, NatsBus],
) -> None:
    executor, operator, strategy = buses["executor"], buses["operator"], buses["strategy"]

    async def answer(message: Message) -> None:
        await executor.respond(message, b"mine")

    await executor.serve("executor", {"status": answer}, {"version": "0.1.0"})
    await strategy.each("dora.sim.svc.executor.>", answer, queue="q")
    await eventually(lambda: strategy.errors, what="the subscription is refused")
    for _ in range(10):
        assert (await operator.request("dora.sim.svc.executor.status", b"")).data == b"mine"
    found = json.loads((await operator.request("$SRV.PING", b"")).data)
    assert found["name"] == "dora-executor"
    with pytest.raises(BusError):
        await strategy.request("dora.sim.svc.executor.status", b"", timeout_s=0.3)


@pytest.mark.parametrize("endpoint", ["place", "flatten"])
async def test_orders_are_taken_from_the_operator_and_from_no_service(
    buses: dict[str, NatsBus], endpoint: str
) -> None:
    executor, asked = buses["executor"], []

    async def answer(message: Message) -> None:
        asked.append(message)
        await executor.respond(message, b"mine")

    served = {"status": answer, endpoint: answer}
    await executor.serve("executor", served, {"version": "0.1.0"})
    await executor.last("dora.sim.ctl.>")  # by now the server knows the endpoints
    subject = f"dora.sim.svc.executor.{endpoint}"
    assert (await buses["operator"].request(subject, b"")).data == b"mine"
    for name in SERVICES:
        with pytest.raises(BusError):
            await buses[name].request(subject, b"", timeout_s=0.2)
    assert (await buses["riskguard"].request("dora.sim.svc.executor.status", b"")).data == b"mine"
    assert len(asked) == 2


def test_gateway_may_ask_everything_but_orders() -> None:
    granted = grants(Env.SIM, "gateway")
    assert "dora.sim.svc.>" in granted.publish
    assert set(granted.deny_publish) >= {"dora.sim.svc.executor.place", "dora.sim.svc.executor.flatten"}


async def test_streams_are_read_by_those_who_need_them_and_changed_by_nobody(
    buses: dict[str, NatsBus],
) -> None:
    for name in SERVICES:
        newest = await buses[name].last("dora.sim.ctl.>")
        assert newest is not None
        assert newest.subject == "dora.sim.ctl.halt.init"
    assert await buses["reconciler"].last("dora.sim.exec.>") is None
    with pytest.raises(BusError):
        await buses["strategy"]._ask_bytes("$JS.API.STREAM.MSG.GET.SIM_EXEC", b'{"seq":1}', 0.3)
    for name in (*SERVICES, "operator"):
        for call in (
            "STREAM.DELETE.SIM_CONTROL",
            "STREAM.PURGE.SIM_CONTROL",
            "STREAM.UPDATE.SIM_CONTROL",
            "STREAM.CREATE.OTHER",
            "CONSUMER.CREATE.SIM_CONTROL",
            "CONSUMER.DURABLE.CREATE.SIM_CONTROL.x",
        ):
            with pytest.raises(BusError):
                await buses[name]._ask_bytes(f"$JS.API.{call}", b"{}", 0.02)
    assert await buses["executor"].last("dora.sim.ctl.>") is not None


async def test_answers_stay_with_whom_they_were_meant_for(buses: dict[str, NatsBus]) -> None:
    async def never(_: Message) -> None:
        raise AssertionError

    for pattern in ("_R.executor.>", "_INBOX.>", "_R.>", ">"):
        before = buses["strategy"].errors.copy()
        await buses["strategy"].each(pattern, never)
        await eventually(lambda before=before: buses["strategy"].errors != before, what=pattern)


async def test_a_changed_password_closes_the_client_and_says_so(server: NatsServer) -> None:
    """The client never retries after an authorisation error: the process must end (reliability fact 21)."""
    told: list[BaseException] = []
    bus = await NatsBus.connect(
        server.url, name="executor", user="executor", password=USERS["executor"], on_closed=told.append
    )
    changed = {**USERS, "executor": "another"}
    server.reload(render_server_config(Env.SIM, f"{server.store}/js", server.port, server.http_port, changed))
    await eventually(lambda: told, 10)
    with pytest.raises(type(told[0])):
        await bus.watch()
    assert not bus.is_connected


def test_every_identity_of_the_table_has_its_grants() -> None:
    for identity in STREAMS_READ:
        for env in Env:
            granted = grants(env, identity)
            assert all(f".{env.value}." in p or p.startswith(("$", "_")) for p in granted.publish)
            assert not any("CREATE" in pattern or "DELETE" in pattern for pattern in granted.publish)
    with pytest.raises(KeyError):
        grants(Env.SIM, "nobody")

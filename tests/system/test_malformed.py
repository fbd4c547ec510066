"""Garbage on every subject: counted, never obeyed, and only a control message halts."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import pytest

from libs.common.bus.permissions import OPERATOR, grants
from libs.common.env import Env
from libs.common.subjects import FAMILIES, Carriage, Subjects
from tests.system.living import SERVICES, Living, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

GARBAGE = (
    b"",
    b"not json",
    b"\xff\xfe\x00",
    b"{}",
    b"[]",
    b"null",
    b'{"market":1}',
    b"[" * 5_000,
    b'{"market":"' + b"x" * 60_000 + b'"}',
)
SAMPLE_KEYS = {
    "market": "KX-GARBAGE=2E5",
    "account": "main",
    "scope": "account",
    "source": "test",
    "service": "executor",
    "instance": "i",
    "endpoint": "status",
}


def _subject(subjects: Subjects, family: str, keys: str) -> str:
    return subjects.of(family, *(SAMPLE_KEYS[key.strip()] for key in keys.split(",")))


def _speak(living: Living, user: str, subject: str) -> None:
    """Say every kind of garbage on a subject with a service's own identity, as a broken replica would."""
    run = living.run
    with open(run["credentials"][user], encoding="utf-8") as file:  # noqa: PTH123 - one line
        password = file.read().strip()
    parts = urlsplit(run["nats_url"])
    with socket.create_connection((parts.hostname, parts.port), timeout=5) as link:
        link.recv(4096)
        link.sendall(f'CONNECT {{"user":"{user}","pass":"{password}","verbose":false}}\r\n'.encode())
        for payload in GARBAGE:
            link.sendall(f"PUB {subject} {len(payload)}\r\n".encode() + payload + b"\r\n")
        link.sendall(b"PING\r\n")
        answer = b""
        while b"PONG" not in answer:
            got = link.recv(4096)
            assert got, answer
            answer += got
        assert b"-ERR" not in answer, (user, subject, answer)


def test_garbage_on_every_family_changes_nothing(dora_up: Living) -> None:
    dora_up.until_quoting()
    subjects = Subjects(Env.SIM)
    before = {service: dora_up.pid(service) for service in SERVICES}

    for family in FAMILIES:
        if family.carriage is Carriage.REPLY or family.name in {"ctl.halt", "health.beat", "exec.epoch"}:
            continue  # halts and the fence have tests of their own
        for publisher in family.publishers:
            if publisher in SERVICES:
                _speak(dora_up, publisher, _subject(subjects, family.name, family.keys))

    for service in SERVICES:
        assert dora_up.status(service)["service"] == service
    assert {service: dora_up.pid(service) for service in SERVICES} == before
    counted = {
        service: sum(
            value for name, value in dora_up.status(service)["counters"].items() if "malformed" in name
        )
        for service in SERVICES
    }
    assert sum(counted.values()) > 0, counted
    if dora_up.gate() != "running":  # garbage in CONTROL may close the gate, and only a person opens it
        dora_up.until_halted_and_empty()
        dora_up.resume()
    dora_up.until_quoting()


def test_garbage_on_the_fence_costs_the_lead_and_the_next_epoch_takes_over(dora_up: Living) -> None:
    """The journal is the fence: whoever writes there takes the lead away, and proves nothing else."""
    dora_up.until_quoting()
    before = dora_up.pid("executor")

    _speak(dora_up, "executor", Subjects(Env.SIM).of("exec.epoch", "main"))

    until(lambda: dora_up.run["pids"].get("executor", before) != before, 20, "a new executor")
    dora_up.until_running(60)
    dora_up.until_quoting()


def test_garbage_to_every_endpoint_is_answered_without_our_insides(dora_up: Living) -> None:
    subjects = Subjects(Env.SIM)

    for service in SERVICES:
        for endpoint in ("status", "config", "log_level"):
            dora_up.publish(subjects.of("svc", service, endpoint), b"{garbage", b"[" * 5_000)

    for service in SERVICES:
        assert dora_up.status(service)["service"] == service


def test_an_operator_may_say_nothing_but_halts() -> None:
    """Who moves money is fixed by the server's permissions, so garbage needs a stolen identity first."""
    allowed = grants(Env.SIM, OPERATOR).publish

    assert [p for p in allowed if p.startswith("dora.sim.") and ".svc." not in p] == [
        "dora.sim.ctl.halt.operator"
    ]


def test_garbage_to_the_control_subject_halts(dora_up: Living) -> None:
    dora_up.until_quoting()

    dora_up.publish("dora.sim.ctl.halt.operator", b"[" * 5_000)

    until(lambda: dora_up.gate() == "halted", 10, "a halt")
    dora_up.until_halted_and_empty()
    dora_up.resume()

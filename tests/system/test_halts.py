"""A halt by any payload empties the venue, survives every restart, and is lifted in two steps only."""

from __future__ import annotations

import json
import os
from functools import partial

import pytest

from tests.system.living import EVERYTHING, SERVICES, Living, dora, is_alive, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

HALT = "dora.sim.ctl.halt.operator"


@pytest.mark.parametrize(
    "payload",
    [b"fat finger", b'{"reason":"drill","by":"a test"}', b"", b"\xff\x00{not json", b'{"level":"running"}'],
    ids=["text", "json", "empty", "garbage", "json-that-asks-to-run"],
)
def test_any_payload_halts_and_nothing_is_left_at_the_venue(dora_up: Living, payload: bytes) -> None:
    dora_up.until_quoting()

    dora_up.publish(HALT, payload)

    dora_up.until_halted_and_empty()
    dora_up.resume()


def test_a_halt_outlives_the_death_of_every_process(dora_up: Living) -> None:
    dora_up.until_quoting()
    dora_up.publish(HALT, b"everything restarts")
    dora_up.until_halted_and_empty()
    before = dora_up.run["pids"]
    everything_but_the_venue = [name for name in EVERYTHING if name != "simexchange"]

    dora_up.kill(*everything_but_the_venue)

    def is_back() -> bool:
        now = dora_up.run["pids"]
        return all(now.get(name, before[name]) != before[name] for name in everything_but_the_venue)

    until(is_back, 60, "new processes")
    for service in SERVICES:
        until(partial(dora_up.status, service), 60, f"an answer of {service}")
    dora_up.until_halted_and_empty(30)
    dora_up.resume()
    dora_up.until_quoting()


def test_a_resume_that_names_an_older_halt_lifts_nothing(dora_up: Living) -> None:
    dora_up.publish(HALT, b"first")
    dora_up.until_halted_and_empty()
    offer = until(
        lambda: dora_up.ask("dora.sim.svc.riskguard.resume", '{"reason":"looked","by":"a test"}'),
        20,
        "an offer",
    )

    dora_up.publish(HALT, b"second, after the offer")
    ask = json.dumps({"nonce": offer["nonce"], "reason": "looked", "by": "a test"})
    dora_up.ask("dora.sim.svc.riskguard.resume", ask)

    assert dora_up.gate() == "halted"
    dora_up.resume()


def test_the_command_line_halts_and_resumes(dora_up: Living) -> None:
    dora_up.until_quoting()

    halted = dora(dora_up.var, "halt", "by hand")

    assert halted.returncode == 0, halted.stderr
    assert "nothing rests" in halted.stdout
    dora_up.resume()


def test_an_end_and_a_new_start_come_back_halted(dora_up: Living, tmp_path: object) -> None:
    del tmp_path
    dora_up.publish(HALT, b"over night")
    dora_up.until_halted_and_empty()
    pids = list(dora_up.run["pids"].values())

    ended = dora(dora_up.var, "down", timeout_s=100)

    assert ended.returncode == 0, ended.stderr
    until(lambda: not any(is_alive(pid) for pid in pids), 10, "no process left")
    assert dora_up.process.wait(10) == 0
    dora_up.restart("up", "--env", "sim")
    until(lambda: dora_up.status("executor"), 60, "an answer of the executor")
    dora_up.until_halted_and_empty(30)
    assert os.path.exists(dora_up.run["state_dirs"]["executor"])  # noqa: PTH110 - a plain question
    dora_up.resume()
    dora_up.until_quoting()

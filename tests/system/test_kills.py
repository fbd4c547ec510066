"""`kill -9` of each service in turn while the demo trades: it comes back, and the money still adds up."""

from __future__ import annotations

import json
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.system.living import SERVICES, Living, living, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]


def test_each_service_is_killed_in_turn_and_the_money_still_adds_up(tmp_path: Path) -> None:
    with living(tmp_path, "demo", "--duration", "200", "--seed", "3") as demo:
        demo.until_running(90)
        demo.until_quoting()
        for service in SERVICES:
            before = demo.pid(service)

            demo.kill(service)

            until(partial(_is_new, demo, service, before), 20, f"a new {service}")
            until(partial(demo.status, service), 40, f"an answer of the new {service}")
            demo.until_running(60)
            time.sleep(1.0)  # let it trade between two deaths, as the demo would
        demo.process.send_signal(signal.SIGTERM)  # an orderly end, as Ctrl-C
        code = demo.process.wait(180)
        said = demo.tail()

    summary = json.loads((tmp_path / "demo" / "summary.json").read_bytes())
    assert code == 0, said
    assert summary["halts"] == []
    assert (summary["position_residual_e2"], summary["cash_residual_e6"]) == (0, 0)
    assert (summary["orphans"], summary["duplicates"], summary["unknown_open"]) == (0, 0, 0)
    assert summary["fills"] > 0


def _is_new(demo: Living, service: str, before: int) -> bool:
    return bool(demo.run["pids"].get(service, before) != before)

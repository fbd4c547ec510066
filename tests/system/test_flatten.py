"""Winding down as an operator does: quotes stop, positions are closed within the cap, nothing comes back."""

from __future__ import annotations

import pytest

from tests.system.living import Living, dora, until

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]

WIND_DOWN = b'{"reason":"wind down","by":"a test","level":"reduce_only"}'


def test_reduce_only_and_flatten_leave_no_order_and_no_position(dora_up: Living) -> None:
    """Five real services: riskguard's own permit must let the exits pass that the halt lets pass."""
    positions = "dora.sim.svc.executor.positions"
    dora_up.until_quoting()
    until(lambda: dora_up.ask(positions)["positions"], 40, "a position")
    dora_up.publish("dora.sim.ctl.halt.operator", WIND_DOWN)
    until(lambda: dora_up.gate() == "reduce_only", 20, "the gate at reduce_only")

    market = next(iter(dora_up.ask(positions)["positions"]))
    opening = dora(dora_up.var, "order", "place", market, "buy", "yes", "0.50", "1", "--yes")
    assert opening.returncode == 1, opening.stdout
    assert "halt_latched" in opening.stdout

    def is_flat() -> bool:
        done = dora(dora_up.var, "flatten", "wind down", "--yes", timeout_s=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return True

    # A book that is thin or silent for a moment leaves its market with the reason; then it is asked again.
    until(is_flat, 90, "flat")
    assert dora_up.ask(positions)["positions"] == {}
    held = {market: one for market, one in dora_up.truth()["positions"].items() if one["qty_e2"]}
    assert held == {}
    assert dora_up.resting() == 0
    dora_up.resume()

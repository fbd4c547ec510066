"""The reconciler's permit: never heard, silent, closed, replayed, of another account."""

from __future__ import annotations

from services.riskguard.core.core import RiskguardCore
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, guard, halts, permit, red, running_guard, tick
from tests.support.riskguard_limits import WIDE
from tests.support.truth_builders import MS, S

NAME = "recon_permit"
CLOSED = {"is_open": False, "reasons": ("drift",)}


def problem(core: RiskguardCore, now_ns: int) -> str:
    tick(core, now_ns)
    assert (NAME in red(core)) == bool(core.standing.view.recon_problem)
    return core.standing.view.recon_problem


def test_any_problem_fires_and_pauses() -> None:
    assert check(NAME, View(), WIDE) is None
    fired = check(NAME, View(recon_problem="drift"), WIDE)
    assert fired is not None
    assert not fired.is_latching
    assert "drift" in fired.text


def test_never_heard_is_no_permit() -> None:
    assert problem(guard(), S) == "never heard"


def test_it_counts_for_two_seconds() -> None:
    core = running_guard()
    assert problem(core, 2 * S) == ""
    assert problem(core, 2 * S + MS) == "not heard for 2001 ms"
    core.on_recon_permit(permit(2), 3 * S)
    assert problem(core, 3 * S) == ""


def test_a_closed_one_says_why_and_halts_nothing() -> None:
    core = running_guard()
    core.on_recon_permit(permit(2, **CLOSED), MS)
    assert halts(tick(core, MS)) == []
    assert problem(core, MS) == "drift"
    core.on_recon_permit(permit(3, is_open=False), 2 * MS)
    assert problem(core, 2 * MS) == "closed"


def test_one_of_the_same_boot_counts_only_when_its_counter_grew() -> None:
    core = running_guard()
    core.on_recon_permit(permit(5, **CLOSED), MS)
    for replayed in (4, 5):
        core.on_recon_permit(permit(replayed), 2 * MS)
        assert problem(core, 2 * MS) == "drift"
    core.on_recon_permit(permit(6), 3 * MS)
    assert problem(core, 3 * MS) == ""


def test_one_of_a_boot_that_was_followed_by_another_never_counts_again() -> None:
    """Recorded before the reconciler restarted, played back afterwards: it had a larger counter then."""
    core = running_guard()
    core.on_recon_permit(permit(1, boot="c", **CLOSED), MS)
    core.on_recon_permit(permit(1_000), 2 * MS)
    assert problem(core, 2 * MS) == "drift"


def test_one_of_another_account_is_not_ours() -> None:
    core = running_guard()
    core.on_recon_permit(permit(2, account="other"), 2 * S)
    assert problem(core, 2 * S + MS) == "not heard for 2001 ms"
    core.on_recon_permit(permit(3, account="other", **CLOSED), 2 * S)
    core.on_recon_permit(permit(2), 3 * S)
    assert problem(core, 3 * S) == ""

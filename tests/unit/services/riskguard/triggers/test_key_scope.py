"""What our own key may do: enough to cancel, and no way out for funds."""

from __future__ import annotations

import pytest

from services.riskguard.core.slow.readings import Unread
from services.riskguard.core.slow.view import SlowView
from services.riskguard.core.triggers.base import View
from tests.support.guards import check, halts, red, running_guard, tick
from tests.support.riskguard_limits import WIDE, slow
from tests.support.slow_builders import TRADE, keys
from tests.support.truth_builders import S

NAME = "key_scope"
FORBID = slow(forbid_transfers=True)


@pytest.mark.parametrize(
    ("scopes", "word"),
    [
        (TRADE, ""),
        (TRADE | {"read::portfolio_balance"}, ""),
        (TRADE | {"write::transfer"}, "may move funds"),
        (frozenset(("read", "write")), "may move funds"),
        (frozenset(("read",)), "may not cancel"),
        (frozenset(("read::portfolio_balance", "write::trade")), "may not read"),
        (frozenset(), "may not read, it may not cancel"),
        (None, "nobody knows"),
    ],
)
def test_what_a_key_may_do_is_judged_where_transfers_are_forbidden(
    scopes: frozenset[str] | None, word: str
) -> None:
    fired = check(NAME, View(slow=SlowView(key_scopes=scopes)), FORBID)
    assert (fired is None) == (not word)
    if fired is not None:
        assert word in fired.text
        assert not fired.is_latching


def test_where_transfers_are_allowed_a_key_must_still_read_and_cancel() -> None:
    may_all = frozenset(("read", "write"))
    assert check(NAME, View(slow=SlowView(key_scopes=may_all)), WIDE) is None
    assert check(NAME, View(slow=SlowView(key_scopes=None)), WIDE) is None
    assert check(NAME, View(slow=SlowView(key_scopes=frozenset(("read",)))), WIDE) is not None


def test_it_is_closed_until_the_first_reading_and_a_later_one_that_fails_changes_nothing() -> None:
    core = running_guard(FORBID)
    assert NAME in red(core)
    assert not core.permit(0)[0]
    core.on_slow(keys(), S)
    assert halts(tick(core, S)) == []
    assert NAME not in red(core)
    core.on_slow(Unread("keys", "503"), 2 * S)
    tick(core, 2 * S)
    assert NAME not in red(core)
    assert core.permit(2 * S) == (True, ())
    core.on_slow(keys(scopes=TRADE | {"write::transfer"}), 3 * S)
    tick(core, 3 * S)
    assert NAME in red(core)
    core.on_slow(keys(), 4 * S)
    tick(core, 4 * S)
    assert NAME not in red(core)


def test_a_key_that_the_venue_does_not_list_is_not_known() -> None:
    core = running_guard(FORBID)
    core.on_slow(keys(scopes=None), S)
    tick(core, S)
    assert NAME in red(core)

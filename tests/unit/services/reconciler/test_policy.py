"""What follows from each difference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.reconciler.core.diff import Difference, Kind
from services.reconciler.core.policy import HALTS, TABLE, Action, action_for, closes_permit
from services.reconciler.core.settle import Ripe
from tests.support.truth_builders import client_id

ORDER = Difference(Kind.ORDER, "KX-1", client_id(1, epoch=2), "a", "b", "b", "executor")
AFTER = 6


def act(difference: Difference, cycles: int = 2, *, may_halt: bool = True, epoch: int = 2) -> Action:
    return action_for(Ripe(difference, cycles), escalate_cycles=AFTER, may_halt=may_halt, epoch=epoch)


@pytest.mark.parametrize(
    ("kind", "first", "later"),
    [
        (Kind.FOREIGN_ORDER, Action.ALERT, Action.ALERT),
        (Kind.ORDERS_ONLY_EXCHANGE, Action.CANCEL, Action.HALT),
        (Kind.ORDERS_ONLY_LOCAL, Action.ALERT, Action.HALT),
        (Kind.ORDER, Action.ALERT, Action.HALT),
        (Kind.FILL, Action.HALT, Action.HALT),
        (Kind.POSITION, Action.HALT, Action.HALT),
        (Kind.CASH, Action.HALT, Action.HALT),
    ],
)
def test_each_kind_has_its_row(kind: Kind, first: Action, later: Action) -> None:
    difference = replace(ORDER, kind=kind)
    assert act(difference, AFTER - 1) is first
    assert act(difference, AFTER) is later
    assert set(TABLE) == set(Kind)


def test_a_foreign_order_closes_nothing_and_everything_else_does() -> None:
    closing = {kind for kind in Kind if closes_permit(replace(ORDER, kind=kind))}
    assert closing == set(Kind) - {Kind.FOREIGN_ORDER}


def test_an_order_of_an_earlier_epoch_is_adopted_and_one_of_this_epoch_cancelled() -> None:
    orphan = replace(ORDER, kind=Kind.ORDERS_ONLY_EXCHANGE, executor_says="absent")
    assert act(orphan, epoch=3) is Action.ADOPT
    assert act(orphan, epoch=2) is Action.CANCEL
    assert act(orphan, AFTER, epoch=3) is Action.HALT


def test_a_position_of_which_the_executor_says_nothing_is_a_persons_to_close_and_halts() -> None:
    orphan = Difference(Kind.POSITION, "KX-1", "KX-1", "0", "500", "500", "executor", 500)
    assert act(orphan) is Action.CLOSE
    assert Action.CLOSE in HALTS
    assert act(replace(orphan, executor_says="100")) is Action.HALT


@pytest.mark.parametrize("kind", list(Kind))
def test_a_drop_copy_that_stands_alone_is_an_alert(kind: Kind) -> None:
    alone = replace(ORDER, kind=kind, odd_one_out="drop_copy")
    assert act(alone, AFTER) is Action.ALERT
    assert not closes_permit(alone)


def test_a_listing_behind_its_own_feed_about_a_fill_is_an_alert() -> None:
    assert act(replace(ORDER, kind=Kind.FILL, odd_one_out="listing"), AFTER) is Action.ALERT


@pytest.mark.parametrize("kind", list(Kind))
def test_nothing_but_an_alert_while_a_new_leader_puts_its_books_in_order(kind: Kind) -> None:
    assert act(replace(ORDER, kind=kind), AFTER, may_halt=False) is Action.ALERT


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.FOREIGN_ORDER])
def test_a_listing_that_stands_alone_alerts_at_once_and_acts_when_it_cannot_be_late_any_more(
    kind: Kind,
) -> None:
    alone = Ripe(replace(ORDER, kind=kind, odd_one_out="listing"), 2)
    early = action_for(alone, escalate_cycles=AFTER, may_halt=True, epoch=2, has_lasted=False)
    assert early is Action.ALERT
    assert closes_permit(alone.difference)
    later = action_for(alone, escalate_cycles=AFTER, may_halt=True, epoch=2, has_lasted=True)
    assert later is (Action.ALERT if kind is Kind.FILL else TABLE[kind].first)


@pytest.mark.parametrize("kind", list(Kind))
def test_nothing_halts_before_it_has_lasted_and_a_cancel_does_not_wait(kind: Kind) -> None:
    lie = Ripe(replace(ORDER, kind=kind), AFTER)
    assert action_for(lie, escalate_cycles=AFTER, may_halt=True, has_lasted=False) not in HALTS
    stray = Ripe(replace(ORDER, kind=Kind.ORDERS_ONLY_EXCHANGE), 2)
    early = action_for(stray, escalate_cycles=AFTER, may_halt=True, epoch=2, has_lasted=False)
    assert early is Action.CANCEL

"""The emergency lane: when it acts on a silence, what it does, and what it does again."""

from __future__ import annotations

import pytest

from libs.common.kalshi.model import FeedClosed, FeedHeard, OwnOrder, VenueOrderStatus
from libs.common.messages.execution import OrderGroupV1
from libs.common.messages.health import BeatV1
from services.riskguard.core.effects import Effect, Read
from services.riskguard.core.emergency import (
    Act,
    CancelAll,
    CancelOrders,
    Done,
    EmergencyLane,
    Group,
    Leader,
    Resting,
    TriggerGroups,
    resting_of,
)
from services.riskguard.core.reading import Reading
from tests.support.guards import guard
from tests.support.truth_builders import NOW_MS, S, epoch_event, order_event, venue_order

MS = 1_000_000
SILENCE, REPEAT = 3 * S, S
SILENT = SILENCE + 1
GROUPS: tuple[Group, ...] = (("g0", 0), ("g1", 1))
FIVE = Resting(seen=5, groups=(("g0", 0),))


def a_lane() -> EmergencyLane:
    return EmergencyLane(SILENCE, REPEAT)


def acting_lane() -> EmergencyLane:
    """Return a lane that has asked for the triggers of both groups at time 0."""
    lane = a_lane()
    assert lane.step(SILENT, FIVE, GROUPS, 0) == (TriggerGroups(GROUPS),)
    return lane


def confirm(lane: EmergencyLane, act: Act) -> None:
    lane.on_done(Done(act, is_confirmed=True))


def fail(lane: EmergencyLane, act: Act, *left: Group) -> None:
    lane.on_done(Done(act, is_confirmed=False, left=left))


def test_it_waits_for_silence_to_the_nanosecond() -> None:
    lane = a_lane()
    assert lane.step(SILENCE, FIVE, GROUPS, 0) == ()
    assert lane.step(SILENCE + 1, FIVE, GROUPS, 1) == (TriggerGroups(GROUPS),)
    assert lane.runs == 1


@pytest.mark.parametrize(
    ("resting", "acts"),
    [
        (Resting(), False),
        (Resting(seen=1, groups=(("g0", 0),)), True),
        (Resting(claimed=1), True),
        (Resting(is_blind=True), True),
    ],
    ids=["nothing", "seen", "claimed", "blind"],
)
def test_it_acts_where_something_rests_may_rest_or_cannot_be_known(resting: Resting, *, acts: bool) -> None:
    assert bool(a_lane().step(SILENT, resting, GROUPS, 0)) is acts


def test_blind_and_without_a_group_there_is_nothing_that_an_executor_could_have_sent() -> None:
    assert a_lane().step(SILENT, Resting(is_blind=True), (), 0) == ()


def test_groups_of_orders_that_are_seen_are_triggered_beside_those_of_the_newest_epoch() -> None:
    (act,) = a_lane().step(SILENT, Resting(seen=1, groups=(("old", 2), ("g0", 0))), GROUPS, 0)
    assert act == TriggerGroups((*GROUPS, ("old", 2)))


def test_orders_in_no_group_are_cancelled_by_name_at_once() -> None:
    loose = (("o1", "M", 1),)
    acts = a_lane().step(SILENT, Resting(seen=2, groups=(("g0", 0),), loose=loose), (), 0)
    assert acts == (TriggerGroups((("g0", 0),)), CancelOrders(loose))


def test_without_a_group_or_a_name_it_cancels_all_at_once() -> None:
    (act,) = a_lane().step(SILENT, Resting(claimed=1), (), 0)
    assert isinstance(act, CancelAll)
    assert "3000 ms" in act.reason


def test_what_is_under_way_is_not_asked_for_twice() -> None:
    lane = acting_lane()
    assert lane.is_at_work
    assert lane.step(SILENT, FIVE, GROUPS, 499 * MS) == ()


def test_triggers_that_hang_are_not_waited_for_all_is_cancelled() -> None:
    lane = acting_lane()
    (act,) = lane.step(SILENT, FIVE, GROUPS, 500 * MS)
    assert isinstance(act, CancelAll)
    confirm(lane, TriggerGroups(GROUPS))
    assert lane.is_at_work, "only what was asked for last can be confirmed"
    confirm(lane, act)
    (act,) = lane.step(SILENT, Resting(), GROUPS, S)
    assert isinstance(act, CancelAll)
    confirm(lane, act)
    assert lane.step(SILENT, Resting(), GROUPS, 2 * S) == (TriggerGroups(GROUPS),)


def test_confirmed_and_empty_is_done() -> None:
    lane = acting_lane()
    confirm(lane, TriggerGroups(GROUPS))
    assert not lane.is_at_work
    assert lane.step(SILENT, Resting(claimed=3), GROUPS, 10 * S) == ()


def test_what_a_confirmed_trigger_left_is_cancelled_all_after_the_read_lag_and_again() -> None:
    lane = acting_lane()
    confirm(lane, TriggerGroups(GROUPS))
    assert lane.step(SILENT, FIVE, GROUPS, REPEAT - 1) == ()
    (act,) = lane.step(SILENT, FIVE, GROUPS, REPEAT)
    assert isinstance(act, CancelAll)
    confirm(lane, act)
    assert lane.step(SILENT, FIVE, GROUPS, 2 * REPEAT - 1) == ()
    assert lane.step(SILENT, FIVE, GROUPS, 2 * REPEAT) != ()


def test_only_the_groups_that_were_not_confirmed_are_triggered_again_after_a_tenth_of_a_second() -> None:
    lane = acting_lane()
    fail(lane, TriggerGroups(GROUPS), GROUPS[1])
    assert lane.step(SILENT, FIVE, GROUPS, 100 * MS - 1) == ()
    assert lane.step(SILENT, FIVE, GROUPS, 100 * MS) == (TriggerGroups(GROUPS[1:]),)


def test_refusals_are_met_with_triggers_and_cancel_all_in_turns_and_growing_pauses() -> None:
    lane, now_ns = acting_lane(), 0
    act: Act = TriggerGroups(GROUPS)
    times: list[int] = []
    kinds: list[type[Act]] = []
    while len(times) < 6:
        fail(lane, act, *(GROUPS if isinstance(act, TriggerGroups) else ()))
        while not (acts := lane.step(SILENT, FIVE, GROUPS, now_ns)):
            now_ns += 50 * MS
        (act,) = acts
        kinds.append(type(act))
        times.append(now_ns // MS)
    assert times == [100, 300, 700, 1_500, 2_500, 3_500]
    assert kinds == [TriggerGroups, CancelAll] * 3


def test_a_shard_that_did_not_answer_is_asked_again_although_nothing_is_seen_any_more() -> None:
    lane = acting_lane()
    fail(lane, TriggerGroups(GROUPS), GROUPS[0])
    (again,) = lane.step(SILENT, Resting(), GROUPS, 100 * MS)
    fail(lane, again, GROUPS[0])
    (act,) = lane.step(SILENT, Resting(), GROUPS, 300 * MS)
    confirm(lane, act)
    assert lane.is_at_work, "cancel-all does not refuse what is on its way"
    (act,) = lane.step(SILENT, Resting(), GROUPS, 700 * MS)
    assert act == TriggerGroups(GROUPS[:1])
    confirm(lane, act)
    assert not lane.is_at_work


def test_an_executor_that_is_heard_again_ends_it_and_the_next_silence_begins_anew() -> None:
    lane = acting_lane()
    assert lane.step(0, FIVE, GROUPS, S) == ()
    assert not lane.is_at_work
    fail(lane, TriggerGroups(GROUPS), *GROUPS)
    assert not lane.is_at_work, "an answer that comes late changes nothing"
    assert lane.step(SILENT, FIVE, GROUPS, 9 * S) == (TriggerGroups(GROUPS),)
    assert lane.runs == 2


def test_resting_of_tells_groups_and_orders_without_one() -> None:
    grouped = venue_order(1, order_group_id="g0", shard=2)
    beside = venue_order(2, order_group_id="g0", shard=2)
    loose = venue_order(3, order_group_id="")
    found = resting_of([grouped, beside, loose], 4, is_blind=False)
    assert (found.seen, found.claimed) == (3, 4)
    assert found.groups == (("g0", 2),)
    assert found.loose == ((loose.order_id, loose.market, loose.shard),)


def test_a_standby_does_not_speak_for_the_leader() -> None:
    leader = Leader(0)
    leader.on_beat("b", 1)
    assert leader.heard_ns == 1, "without an epoch nobody leads"
    leader.on_epoch(epoch_event(holder="a"), 1, 2)
    leader.on_beat("b", 3)
    assert leader.heard_ns == 2
    leader.on_beat("a", 4)
    assert leader.heard_ns == 4


def test_only_the_newest_epochs_groups_are_triggered() -> None:
    leader = Leader(0)
    for epoch, name in ((1, "old"), (2, "new-0"), (2, "new-2")):
        leader.on_group(OrderGroupV1(account="main", epoch=epoch, shard=0, order_group_id=name, limit_e2=1))
    assert [group for group, _ in leader.groups()] == ["new-0", "new-2"]


# In the core ------------------------------------------------------------------------------------------


def acts_of(effects: list[Effect]) -> list[Effect]:
    return [effect for effect in effects if isinstance(effect, TriggerGroups | CancelOrders | CancelAll)]


def test_a_silent_leader_with_an_order_that_rests_has_its_groups_triggered_and_the_venue_read() -> None:
    core = guard()
    core.on_feed(FeedHeard(NOW_MS), 0)
    core.on_group(OrderGroupV1(account="main", epoch=1, shard=1, order_group_id="g1", limit_e2=1))
    order = venue_order(1, order_group_id="g1", shard=1)
    core.on_feed(OwnOrder(order), 0)
    assert acts_of(core.on_tick(SILENCE, NOW_MS)) == []
    core.on_reading(Reading(SILENCE, (order,), (), (), ()), SILENCE)
    effects = core.on_tick(SILENT, NOW_MS)
    assert acts_of(effects) == [TriggerGroups((("g1", 1),))]
    assert any(isinstance(effect, Read) for effect in effects)
    core.on_lane_done(Done(TriggerGroups((("g1", 1),)), is_confirmed=True))
    core.on_feed(
        OwnOrder(venue_order(1, status=VenueOrderStatus.CANCELED, order_group_id="g1", remaining_e2=0)),
        SILENT,
    )
    assert acts_of(core.on_tick(SILENT + 2 * S, NOW_MS)) == []


def test_a_foreign_order_is_no_reason_to_act() -> None:
    core = guard()
    core.on_feed(FeedHeard(NOW_MS), 0)
    core.on_reading(Reading(0, (), (), (), ()), 0)
    core.on_feed(OwnOrder(venue_order(1, client_order_id="somebody")), 0)
    assert acts_of(core.on_tick(SILENT, NOW_MS)) == []


def test_what_the_executor_said_it_sent_is_a_reason_even_where_the_venue_shows_nothing() -> None:
    core = guard()
    core.on_feed(FeedHeard(NOW_MS), 0)
    core.on_order(order_event(1), 0)
    core.on_reading(Reading(0, (), (), (), ()), 0)
    assert isinstance(acts_of(core.on_tick(SILENT, NOW_MS))[0], CancelAll)


def test_blind_since_the_leader_was_last_heard_is_a_reason() -> None:
    core = guard()
    core.on_feed(FeedHeard(NOW_MS), 0)
    core.on_reading(Reading(0, (), (), (), ()), 0)
    core.on_group(OrderGroupV1(account="main", epoch=1, shard=0, order_group_id="g0", limit_e2=1))
    core.on_beat(BeatV1(service="executor", instance="x", run="r", counter=1, is_ready=True), S)
    core.on_feed(FeedClosed("gone"), S)
    assert acts_of(core.on_tick(S + SILENT, NOW_MS)) == [TriggerGroups((("g0", 0),))]

"""The ladder's rules: what counts as proof, what is sent, which shard waits for whom."""

from __future__ import annotations

from libs.common.messages.control import GateState, ScopeKind
from services.executor.core.kill import KillLadder, ShardLadder
from services.executor.core.kill_scope import KillScope
from services.executor.core.requests import CancelRequest

LAG = 500
CANCEL = CancelRequest("o", "c", "M", 0)


def a_walk(*groups: str) -> ShardLadder:
    return ShardLadder(0, set(groups), 0, LAG)


def verified(walk: ShardLadder) -> bool:
    """Ask anew each time: a type checker would remember the first answer."""
    return walk.is_verified


def test_empty_listing_counts_only_the_read_lag_after_the_last_trigger_was_confirmed() -> None:
    walk = a_walk("g1", "g2")
    walk.look(0, may_come=False)
    walk.on_listing((), 400, 450)
    walk.on_triggered("g1", 500)
    assert walk.look(500, may_come=False) == 2 * LAG, "a listing may show what to cancel by name"
    walk.on_listing((), 500, 550)
    assert not verified(walk)
    walk.on_triggered("g2", 600)
    assert walk.look(600, may_come=False) == 600 + LAG
    walk.on_listing((), 1_099, 1_150)
    assert not verified(walk), "it may show the venue as it was before the trigger"
    walk.on_listing((), 1_100, 1_200)
    assert verified(walk)
    assert {"groups", "empty", "verified"} <= set(walk.rungs_us)


def test_order_that_may_still_come_to_rest_keeps_a_shard_without_group_from_being_verified() -> None:
    walk = a_walk()
    walk.look(0, may_come=True)
    walk.on_listing((), 900, 950)
    assert not verified(walk)
    due_ns = walk.look(1_000, may_come=False)
    assert due_ns == 1_000 + LAG
    walk.look(1_200, may_come=True)
    assert walk.look(1_300, may_come=False) == 1_300 + LAG, "the wait starts over"
    walk.on_listing((), 1_800, 1_900)
    assert verified(walk)


def test_what_a_lagging_listing_shows_is_cancelled_by_name_only_when_it_is_late() -> None:
    walk = a_walk("g")
    assert walk.on_listing((CANCEL,), 100, 150) == ()
    assert walk.on_listing((CANCEL,), 2 * LAG, 2 * LAG + 50) == (CANCEL,), "the trigger has no answer"
    assert walk.look(1_100, may_come=False) == 3 * LAG, "one each read lag"
    early = a_walk("g")
    early.on_triggered("g", 100)
    early.look(100, may_come=False)
    assert early.on_listing((CANCEL,), 400, 450) == ()
    assert early.on_listing((CANCEL,), 100 + LAG, 700) == (CANCEL,), "it is triggered and still listed"
    assert not verified(walk)


def test_each_shard_is_verified_by_itself_and_the_sick_one_is_named() -> None:
    ladder = KillLadder("x", {"g0": 0, "g2": 2}, 0, settle_ns=LAG, shards=(0, 1, 2))
    for shard, group in ((0, "g0"), (2, "g2")):
        walk = ladder.walks[shard]
        if shard == 0:
            walk.on_triggered(group, 10)
        walk.look(10, may_come=False)
        walk.on_listing((), 10 + LAG, 20 + LAG)
    ladder.walks[1].look(0, may_come=False)
    ladder.walks[1].on_listing((), LAG, LAG)
    assert ladder.unverified == [2]
    assert ladder.unconfirmed == {"g2": 2}
    assert "verified" not in ladder.rungs_us
    ladder.walks[2].on_triggered("g2", 5_000_000)
    ladder.walks[2].look(5_000_000, may_come=False)
    ladder.walks[2].on_listing((), 6_000_000, 7_000_000)
    assert ladder.is_verified
    assert ladder.rungs_us["verified"] == 7_000, "the slowest shard's time"


def test_ladder_takes_over_what_another_one_has_not_seen_triggered() -> None:
    ladder = KillLadder("stop", {"g0": 0}, 0, with_cancel_all=False, settle_ns=LAG)
    ladder.add_groups({"old": 3})
    assert ladder.unverified == [0, 3]
    assert not ladder.with_cancel_all


def test_cancel_all_is_for_a_halt_of_the_whole_account() -> None:
    assert KillLadder("x", {}, 0).with_cancel_all
    for scope in (KillScope(ScopeKind.SHARD, "2"), KillScope(level=GateState.REDUCE_ONLY)):
        assert not KillLadder("x", {}, 0, reach=scope).with_cancel_all


def test_lifted_halt_is_over_when_its_triggers_are_confirmed() -> None:
    walk = a_walk("g")
    walk.is_lifted = True
    assert walk.unconfirmed == {"g"}
    walk.on_triggered("g", 1)
    assert walk.is_over
    assert not verified(walk)

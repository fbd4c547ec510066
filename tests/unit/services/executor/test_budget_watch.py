"""What the planning pass does when tokens are short, batches too large, or the venue slow to pay."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.messages.execution import OrderState
from services.executor.core.effects import Log, SendBatch, SendCancels
from services.executor.core.planner import PlanRules, ReplaceWith
from services.executor.core.quoting import ExecutionMode
from tests.support.executor_builders import BOTH, a_desk, a_quote, batches, full_buckets

REPLACING = PlanRules(hysteresis_ticks=0, replace_with=ReplaceWith.CANCEL_CREATE)


def test_warning_comes_once_when_a_bucket_that_was_full_falls_to_a_fifth() -> None:
    desk = a_desk(buckets=full_buckets(write=1_000))
    quoter = desk.engine.quoter
    assert quoter.watch_budget(desk.now) == []
    quoter.buckets.charge(850, desk.now.ns)

    (warning,) = quoter.watch_budget(desk.now)
    assert isinstance(warning, Log)
    assert (warning.event_type, warning.fields["shard"]) == ("BUDGET_LOW", 0)
    assert quoter.watch_budget(desk.now) == []

    quoter.watch_budget(desk.later(1.0))
    quoter.buckets.charge(850, desk.now.ns)
    assert len(quoter.watch_budget(desk.now)) == 1


def test_batch_that_was_too_large_halves_the_next_ones_down_to_one() -> None:
    desk = a_desk()
    quoter = desk.engine.quoter
    sizes = []
    for _ in range(6):
        quoter.too_large(quoter.batch_items)
        sizes.append(quoter.batch_items)
    assert sizes == [10, 5, 2, 1, 1, 1]


def test_generous_quote_is_cancelled_and_a_stingy_one_rests_while_tokens_are_long_in_coming() -> None:
    desk = a_desk(rules=REPLACING, buckets=full_buckets(write=100))
    desk.accept_all(desk.quote(*BOTH))
    buckets = desk.engine.quoter.buckets
    buckets.charge(buckets.tokens(desk.now.ns) - 40, desk.now.ns)

    # Both want to move down: the bid gives more than wanted, the ask gives less.
    effects = desk.quote(a_quote(Side.BID, 4_600), a_quote(Side.ASK, 5_000), sequence=2)

    gone = [cancel for effect in effects if isinstance(effect, SendCancels) for cancel in effect.cancels]
    live = {order.side: order.state for order in desk.engine.account.orders.live()}
    assert [cancel.order_id for cancel in gone] == [
        order.order_id for order in desk.engine.account.orders.live() if order.side is Side.BID
    ]
    assert live == {Side.BID: OrderState.CANCEL_PENDING, Side.ASK: OrderState.RESTING}
    assert desk.engine.quoter.wake_ns is not None


def test_single_mode_sends_each_create_by_itself_and_changes_by_the_next_pass() -> None:
    desk = a_desk(rules=REPLACING)
    desk.engine.quoter.mode = ExecutionMode.SINGLE
    desk.accept_all(desk.quote(*BOTH))
    (batch,) = batches(desk.quote(a_quote(Side.BID, 4_700), a_quote(Side.ASK, 5_300), sequence=2))
    assert isinstance(batch, SendBatch)
    assert (batch.lane.value, len(batch.creates), len(batch.cancels)) == ("single", 2, 2)
    desk.accept_all([batch])

    desk.engine.quoter.mode = ExecutionMode.BATCH
    (batch,) = batches(desk.quote(*BOTH, sequence=3))
    assert batch.lane.value == "batch"

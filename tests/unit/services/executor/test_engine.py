"""The core as a whole: targets in, effects out, evidence back."""

from __future__ import annotations

import pytest

from libs.common.domain.side import Side
from libs.common.kalshi.model import (
    GroupUpdate,
    OwnFill,
    Refused,
    Unknown,
    VenueOrderStatus,
    VenuePosition,
    VenueSettlement,
)
from libs.common.messages.execution import Action, OrderState
from libs.common.messages.market import MarketState
from services.executor.core.account import Now
from services.executor.core.answers import NotSent
from services.executor.core.effects import (
    Log,
    MakeGroup,
    PublishPosition,
    ReadFills,
    ReadSettlements,
    RecordFill,
    SendBatch,
    SendCancels,
    TakeOver,
)
from services.executor.core.orders import OwnOrder
from services.executor.core.planner import PlanRules
from services.executor.core.requests import CancelRequest, CreateRequest
from tests.support.executor_builders import (
    BOTH,
    GROUP,
    MARKET,
    START_MS,
    Desk,
    a_desk,
    a_fill,
    a_quote,
    a_status,
    a_target,
    a_top,
    accepted,
    an_order,
    batches,
    cancels,
    full_buckets,
    told,
)

EXACT = PlanRules(hysteresis_ticks=0)


def resting(desk: Desk) -> list[OwnOrder]:
    """Quote both sides and let the venue accept."""
    return desk.accept_all(desk.quote(*BOTH))


def test_target_becomes_one_batch_with_its_intent() -> None:
    desk = a_desk()
    (batch,) = batches(desk.quote(*BOTH))
    assert [item.action for item in batch.intent.items] == [Action.CREATE, Action.CREATE]
    requests = [approved.request for approved in batch.creates]
    assert all(isinstance(one, CreateRequest) and one.order_group_id == GROUP for one in requests)
    assert [item.client_order_id for item in batch.intent.items] == [r.client_order_id for r in requests]
    assert all(r.expires_ms == START_MS + 60_000 for r in requests)


def test_same_target_twice_sends_nothing_more() -> None:
    desk = a_desk()
    desk.accept_all(desk.quote(*BOTH))
    assert batches(desk.quote(*BOTH)) == []
    assert batches(desk.quote(*BOTH, sequence=2)) == []


def test_client_order_ids_are_the_same_for_the_same_story() -> None:
    one, other = a_desk(), a_desk()
    first = [i.client_order_id for b in batches(one.quote(*BOTH)) for i in b.intent.items]
    second = [i.client_order_id for b in batches(other.quote(*BOTH)) for i in b.intent.items]
    assert first == second
    assert all(client.startswith("dora-sim-1-1-") for client in first)


def test_older_target_does_not_replace_a_newer_one() -> None:
    desk = a_desk(rules=EXACT)
    desk.accept_all(desk.quote(*BOTH, sequence=5))
    assert desk.quote(a_quote(Side.BID, 4_000), sequence=4) == []


def test_expired_target_means_that_nothing_is_wanted() -> None:
    desk = a_desk()
    desk.accept_all(desk.quote(*BOTH, expires_ms=START_MS + 1_000))
    desk.later(1.5)
    desk.prove()
    desk.engine.on_tick(desk.now)
    assert len(cancels(desk.engine.run_pass(desk.now))) == 2


def test_expired_target_is_not_taken_at_all() -> None:
    desk = a_desk()
    assert desk.quote(*BOTH, expires_ms=START_MS) == []
    assert desk.engine.account.held["target_expired"] == 1


def test_stale_book_withdraws_the_market_by_time_alone() -> None:
    desk = a_desk()
    resting(desk)
    desk.later(1.9)
    desk.prove()
    desk.engine.on_top(a_top(as_of_ms=START_MS), desk.now)
    assert cancels(desk.engine.run_pass(desk.now)) == []
    desk.later(0.2)
    desk.engine.on_tick(desk.now)
    assert len(cancels(desk.engine.run_pass(desk.now))) == 2


def test_closed_gate_lets_cancels_and_nothing_else_through() -> None:
    desk = a_desk(rules=EXACT)
    resting(desk)
    desk.later(2.5)
    desk.engine.on_top(a_top(as_of_ms=desk.now.ms), desk.now)
    effects = desk.quote(a_quote(Side.BID, 4_900), a_quote(Side.ASK, 5_200), sequence=2)
    assert batches(effects) == []
    assert len(cancels(effects)) == 1


def test_gate_closed_for_five_seconds_cancels_everything() -> None:
    desk = a_desk()
    resting(desk)
    desk.later(2.5)
    assert cancels(desk.engine.on_tick(desk.now)) == []
    desk.later(5.1)
    assert len(cancels(desk.engine.on_tick(desk.now))) == 2


def test_shard_without_a_group_asks_for_one_and_waits() -> None:
    desk = a_desk()
    desk.engine.account.groups.clear()
    effects = desk.quote(*BOTH)
    assert [effect for effect in effects if isinstance(effect, MakeGroup)] == [MakeGroup(0)]
    assert batches(effects) == []


def test_answer_out_of_time_puts_the_market_in_quarantine() -> None:
    desk = a_desk(rules=EXACT)
    (batch,) = batches(desk.quote(BOTH[0]))
    client = batch.intent.items[0].client_order_id
    effects = desk.engine.intake.on_create_answer(client, Unknown(0, "timeout"), desk.now)
    desk.engine.batch_answered()
    (shown,) = [effect.position for effect in effects if isinstance(effect, PublishPosition)]
    assert shown.has_unknown
    assert batches(desk.quote(*BOTH, sequence=2)) == []
    assert desk.engine.account.held["market_quarantined"] > 0


def test_unknown_create_is_absent_only_after_several_reads_and_some_time() -> None:
    desk = a_desk()
    (batch,) = batches(desk.quote(BOTH[0]))
    client = batch.intent.items[0].client_order_id
    desk.engine.intake.on_create_answer(client, Unknown(0, "timeout"), desk.now)
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    for _ in range(10):
        desk.later(0.5)
        desk.engine.intake.on_absent(order, desk.now.ns, desk.now)
    assert order.is_unknown, "five seconds are too early"
    desk.later(6)
    desk.engine.intake.on_absent(order, desk.now.ns, desk.now)
    assert order.state is OrderState.REFUSED


def test_lagging_listing_proves_that_an_unknown_create_landed() -> None:
    desk = a_desk()
    (batch,) = batches(desk.quote(BOTH[0]))
    client = batch.intent.items[0].client_order_id
    desk.engine.intake.on_create_answer(client, Unknown(0, "timeout"), desk.now)
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    desk.engine.intake.on_read_order(told(order), desk.now.ns, desk.now)
    assert order.state is OrderState.RESTING


def test_known_client_id_answered_as_existing_is_unknown_not_refused() -> None:
    desk = a_desk()
    (batch,) = batches(desk.quote(BOTH[0]))
    client = batch.intent.items[0].client_order_id
    desk.engine.intake.on_create_answer(client, Refused(409, "order_already_exists", ""), desk.now)
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    assert order.is_unknown


def test_unsent_create_leaves_nothing_behind() -> None:
    desk = a_desk()
    (batch,) = batches(desk.quote(BOTH[0]))
    client = batch.intent.items[0].client_order_id
    desk.engine.intake.on_create_answer(client, NotSent("halt_heard"), desk.now)
    desk.engine.batch_answered()
    assert list(desk.engine.account.orders.live()) == []
    desk.later(0.1)
    desk.prove()
    assert len(batches(desk.engine.run_pass(desk.now))) == 1, "and may be tried again"


def test_refused_create_makes_the_market_wait_longer_each_time() -> None:
    desk = a_desk()
    waits = []
    for _ in range(3):
        (batch,) = batches(desk.engine.run_pass(desk.now) or desk.quote(BOTH[0]))
        client = batch.intent.items[0].client_order_id
        desk.engine.intake.on_create_answer(client, Refused(400, "invalid_order", ""), desk.now)
        desk.engine.batch_answered()
        waits.append(desk.engine.account.hold_until_ns[MARKET] - desk.now.ns)
        assert batches(desk.engine.run_pass(desk.now)) == []
        desk.later(waits[-1] / 1e9)
        desk.prove()
    assert waits == [100_000_000, 200_000_000, 400_000_000]


def test_fill_before_the_answer_is_counted_once_and_attributed() -> None:
    desk = a_desk()
    (batch,) = batches(desk.quote(BOTH[0]))
    client = batch.intent.items[0].client_order_id
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    fill = a_fill(order, 200)
    effects = desk.engine.on_feed([OwnFill(fill)], desk.now)
    assert [e.fill.client_order_id for e in effects if isinstance(e, RecordFill)] == [client]
    desk.engine.intake.on_create_answer(client, accepted(client, filled_e2=200, remaining_e2=300), desk.now)
    assert desk.engine.on_feed([OwnFill(fill)], desk.now) == []
    assert desk.engine.account.positions.qty_e2(MARKET) == 200
    assert order.state is OrderState.PARTLY_FILLED


def test_fill_without_any_known_name_waits_until_its_order_is_named() -> None:
    desk = a_desk()
    (batch,) = batches(desk.quote(BOTH[0]))
    client = batch.intent.items[0].client_order_id
    order = desk.engine.account.orders.by_client(client)
    assert order is not None
    fill = a_fill(order, 200, client_order_id="")
    assert desk.engine.on_feed([OwnFill(fill)], desk.now) == [ReadFills(fill.order_id)]
    assert desk.engine.account.positions.qty_e2(MARKET) == 0
    desk.engine.intake.on_create_answer(client, accepted(client, remaining_e2=300, filled_e2=200), desk.now)
    assert desk.engine.account.positions.qty_e2(MARKET) == 200


def test_fill_of_a_foreign_order_changes_the_account_all_the_same() -> None:
    desk = a_desk()
    fill = a_fill(an_order(order_id="manual"), 100, client_order_id="by-hand")
    (record, *_) = desk.engine.on_feed([OwnFill(fill)], desk.now)
    assert isinstance(record, RecordFill)
    assert record.fill.decision_id == ""
    assert desk.engine.account.positions.qty_e2(MARKET) == 100


def test_cancel_answered_with_not_found_is_looked_up_and_not_believed() -> None:
    desk = a_desk()
    bid, _ = resting(desk)
    (sent,) = [e for e in desk.quote(BOTH[1], sequence=2) if isinstance(e, SendCancels)]
    desk.engine.intake.on_cancel_answer(sent.cancels[0], Refused(404, "not_found", ""), desk.now)
    assert bid.is_live
    assert bid in desk.engine.account.orders.unresolved()
    desk.later(2)
    executed = told(bid, status=VenueOrderStatus.EXECUTED, filled_e2=500, remaining_e2=0)
    desk.engine.intake.on_read_order(executed, desk.now.ns, desk.now)
    assert bid.state is OrderState.EXECUTED
    assert desk.engine.intake.missing_fills(Now(desk.now.ns + 2_000_000_000, desk.now.ms)) == [bid]


def test_stale_listing_does_not_bring_a_cancelled_order_back() -> None:
    """Requirement B-001: a cancelled order must not re-enter local state from stale exchange data."""
    desk = a_desk()
    bid, _ = resting(desk)
    desk.accept_all(desk.quote(BOTH[1], sequence=2))
    was_live = [bid.is_live]
    for seconds in (0.3, 5):
        desk.later(seconds)
        desk.engine.intake.on_listing([told(bid, updated_ms=START_MS)], desk.now.ns, desk.now)
        was_live.append(bid.is_live)
    assert was_live == [False, False, True], "only one that stays listed is alive after all"
    assert desk.engine.account.counters["orphans"] == 1


def test_order_of_ours_that_nobody_knows_is_adopted_counted_and_cancelled() -> None:
    desk = a_desk()
    lost = an_order(client_order_id="dora-sim-1-77-0-abcdef01", order_id="lost")
    desk.engine.intake.on_listing([told(lost)], desk.now.ns, desk.now)
    assert desk.engine.account.counters["orphans"] == 1
    assert cancels(desk.engine.run_pass(desk.now)) == ["lost"]


def test_foreign_order_is_noted_and_left_alone() -> None:
    desk = a_desk()
    desk.engine.intake.on_listing([told(an_order(client_order_id="by-hand"))], desk.now.ns, desk.now)
    assert desk.engine.gauges()["foreign_orders"] == 1
    assert cancels(desk.engine.run_pass(desk.now)) == []


def test_two_live_orders_for_one_intent_are_a_duplicate() -> None:
    desk = a_desk()
    bid, _ = resting(desk)
    effects = desk.engine.intake.on_listing([told(bid, order_id="twin")], desk.now.ns, desk.now)
    assert desk.engine.account.counters["duplicates"] == 1
    assert cancels(effects) == ["twin"]


def test_group_that_the_venue_triggers_is_never_used_again() -> None:
    desk = a_desk()
    effects = desk.engine.on_feed([GroupUpdate(GROUP, "triggered", None, START_MS)], desk.now)
    assert any(isinstance(effect, TakeOver) for effect in effects)
    assert GROUP not in desk.engine.account.groups.values()
    assert desk.engine.run_pass(desk.now) == []
    assert "recovering" in desk.engine.account.gate.account_reasons(desk.now.ns, 0)


def test_tokens_pay_for_what_fits_and_the_rest_stays_wanted() -> None:
    desk = a_desk(buckets=full_buckets(write=44))
    effects = desk.quote(*BOTH, a_quote(Side.BID, 4_700), a_quote(Side.BID, 4_600))
    assert sum(len(batch.creates) for batch in batches(effects)) == 2, "half is the reserve for cancels"
    assert desk.engine.quoter.wake_ns is not None
    assert MARKET in desk.engine.account.dirty


def test_big_plan_is_cut_into_batches_and_no_more_than_allowed_are_open() -> None:
    desk = a_desk()
    desk.engine.quoter.batch_items, desk.engine.quoter.batches_max = 2, 3
    ladder = [a_quote(Side.BID, 4_800 - 100 * level, 100) for level in range(10)]
    assert [len(batch.creates) for batch in batches(desk.quote(*ladder))] == [2, 2, 2]
    assert desk.engine.run_pass(desk.now) == []


def test_determined_market_asks_for_its_settlement_and_ends_flat() -> None:
    desk = a_desk()
    bid, _ = resting(desk)
    desk.engine.on_feed([OwnFill(a_fill(bid, 200))], desk.now)
    effects = desk.engine.on_status(a_status(state=MarketState.DETERMINED, result="yes"), desk.now)
    assert effects == [ReadSettlements(MARKET)]
    early = VenueSettlement(MARKET, "E-1", 0, "yes", 300, 0, 3_000_000, 0, START_MS)
    assert desk.engine.intake.on_settlement(early, desk.now) == [ReadFills()], "a fill is missing"
    settlement = VenueSettlement(MARKET, "E-1", 0, "yes", 200, 0, 2_000_000, 0, START_MS)
    desk.engine.intake.on_settlement(settlement, desk.now)
    positions = desk.engine.account.positions
    assert positions.qty_e2(MARKET) == 0
    assert positions.realised_e6 == 2_000_000 - 200 * 4_800


def test_residuals_compare_our_sums_with_the_venues() -> None:
    desk = a_desk()
    bid, _ = resting(desk)
    desk.engine.on_feed([OwnFill(a_fill(bid, 200))], desk.now)
    paid = -(200 * 4_800) - 100
    desk.later(5)
    theirs = [VenuePosition(MARKET, 0, 200, 0, 0, 0)]
    desk.engine.on_positions_read(theirs, paid, desk.now.ns, desk.now)
    assert desk.engine.raw_residuals == (0, 0)
    desk.engine.on_positions_read([], paid + 7, desk.now.ns, desk.now)
    desk.engine.on_positions_read([], paid + 7, desk.now.ns, desk.now)
    assert (desk.engine.position_residual_e2, desk.engine.cash_residual_e6) == (200, 7)


@pytest.mark.parametrize("spoiler", ["seal", "gate", "flag", "epoch"])
def test_bytes_may_not_leave_once_anything_changed_after_approval(spoiler: str) -> None:
    desk = a_desk()
    (batch,) = batches(desk.quote(*BOTH))
    assert desk.engine.may_send(batch.creates, batch.markets, desk.now) is None
    if spoiler == "seal":
        desk.later(0.6)
        desk.prove()
        assert desk.engine.may_send(batch.creates, batch.markets, desk.now) == "intent_old"
    elif spoiler == "gate":
        desk.engine.account.gate.is_killing = True
        assert desk.engine.may_send(batch.creates, batch.markets, desk.now) == "kill_under_way"
    elif spoiler == "epoch":
        desk.engine.epoch.claimed(2, 200, desk.now.ns)
        desk.engine.began_epoch(2)
        desk.prove()
        assert desk.engine.may_send(batch.creates, batch.markets, desk.now) == "seal_other_epoch"
    else:
        desk.engine.epoch.fence_refused()
        assert desk.engine.may_send(batch.creates, batch.markets, desk.now) == "epoch_lost"


def test_position_message_carries_own_quantity_by_price() -> None:
    desk = a_desk()
    resting(desk)
    (first, *_) = desk.engine.on_status(a_status("M-2"), desk.now)
    assert isinstance(first, PublishPosition)
    (shown,) = desk.engine.account.position_effects(MARKET)
    assert isinstance(shown, PublishPosition)
    assert [(r.side, r.price_e4, r.qty_e2) for r in shown.position.resting] == [
        (Side.ASK, 5_200, 500),
        (Side.BID, 4_800, 500),
    ]


def test_amend_is_approved_by_what_the_order_may_become() -> None:
    desk = a_desk(rules=EXACT)
    resting(desk)
    (batch,) = batches(desk.quote(a_quote(Side.BID, 4_900), BOTH[1], sequence=2))
    assert [item.action for item in batch.intent.items] == [Action.AMEND]
    (bid,) = [o for o in desk.engine.account.orders.of_market(MARKET) if o.side is Side.BID]
    desk.accept_all([batch])
    assert (bid.price_e4, bid.state) == (4_900, OrderState.RESTING)


def test_target_for_a_market_without_a_book_is_not_quoted() -> None:
    desk = a_desk()
    desk.engine.on_target(a_target(*BOTH, market="M-9"), desk.now)
    assert [e for e in desk.engine.run_pass(desk.now) if isinstance(e, SendBatch)] == []


def test_no_position_is_told_before_the_journal_has_been_read() -> None:
    desk = a_desk()
    desk.engine.account.gate.is_recovered = False

    assert not desk.engine.account.position_effects(MARKET)


def test_a_takeover_from_itself_goes_on_telling_positions() -> None:
    desk = a_desk()
    desk.engine.account.gate.is_rebuilt = True
    desk.engine.account.gate.is_recovered = False

    assert desk.engine.account.position_effects(MARKET)


def test_named_orders_are_cancelled_alone() -> None:
    desk = a_desk()
    resting(desk)
    bid, ask = sorted(desk.engine.account.orders.live(), key=lambda order: order.side.value, reverse=True)

    effects = desk.engine.cancel_everything(desk.now, only=frozenset({bid.order_id}))

    (sent,) = [effect for effect in effects if isinstance(effect, SendCancels)]
    assert [cancel.order_id for cancel in sent.cancels] == [bid.order_id]
    assert not ask.is_in_flight


def test_cancel_of_an_order_whose_decrease_is_unanswered_invents_no_fill() -> None:
    desk = a_desk(rules=EXACT)
    bid, _ = resting(desk)
    desk.quote(a_quote(Side.BID, 4_800, 200), BOTH[1], sequence=2)
    intake = desk.engine.intake
    intake.on_amend_answer(bid.client_order_id, Action.DECREASE, Unknown(0, "timeout"), desk.now)
    gone = accepted(bid.client_order_id, bid.order_id, reduced_by_e2=200)
    cancel = CancelRequest(bid.order_id, bid.client_order_id, MARKET, 0)
    intake.on_cancel_answer(cancel, gone, desk.now)
    # Cancelled from 500 it was filled by 300, from 200 by nothing: which, only the venue can tell.
    assert (bid.is_live, bid.look_up, bid.filled_e2, bid.open_e2) == (True, True, 0, 500)
    ended = told(bid, status=VenueOrderStatus.CANCELED, remaining_e2=0, updated_ms=desk.now.ms)
    intake.on_feed_order(ended, desk.now)
    assert bid.state is OrderState.CANCELLED
    assert (bid.filled_e2, bid.open_e2) == (0, 0)


def test_silent_journal_cancels_everything_although_a_takeover_waits_for_it() -> None:
    desk = a_desk()
    resting(desk)
    desk.engine.account.gate.is_recovered = False
    desk.later(5.1)
    assert len(cancels(desk.engine.on_tick(desk.now))) == 2


def test_order_that_no_read_can_settle_is_reported_once_after_a_minute() -> None:
    desk = a_desk()
    bid, _ = resting(desk)
    desk.quote(BOTH[1], sequence=2)
    cancel = CancelRequest(bid.order_id, bid.client_order_id, MARKET, 0)
    desk.engine.intake.on_cancel_answer(cancel, Refused(404, "not_found", ""), desk.now)
    reports = []
    for _ in range(3):
        desk.later(61)
        effects = desk.engine.on_tick(desk.now)
        reports += [e for e in effects if isinstance(e, Log) and e.event_type == "ORDER_CONFLICT"]
    assert [report.fields["client_order_id"] for report in reports] == [bid.client_order_id]


def test_market_that_is_final_and_flat_is_forgotten_and_does_not_come_back() -> None:
    desk = a_desk()
    account, engine = desk.engine.account, desk.engine
    for number in range(1_000):
        market = f"M-{number + 10}"
        engine.on_status(a_status(market), desk.now)
        engine.on_top(a_top(market), desk.now)
        desk.quote(market=market)
        engine.on_status(a_status(market, state=MarketState.FINALIZED, sequence=2), desk.now)
    desk.later(1.1)
    engine.on_tick(desk.now)
    engine.on_status(a_status("M-10", state=MarketState.FINALIZED, sequence=3), desk.now)
    assert account.known_markets() == {MARKET}
    assert account.gate.top("M-10") is None


def test_every_position_is_told_within_ten_seconds_and_open_ones_every_second() -> None:
    desk = a_desk()
    for number in range(3_000):
        desk.engine.on_status(a_status(f"Q-{number:04}"), desk.now)
    resting(desk)
    told_of: list[list[str]] = []
    for _ in range(11):
        desk.later(1.0)
        desk.prove()
        effects = desk.engine.on_tick(desk.now)
        told_of.append([e.position.market for e in effects if isinstance(e, PublishPosition)])
    assert all(MARKET in markets for markets in told_of)
    assert max(len(markets) for markets in told_of) <= 302
    assert len({market for markets in told_of for market in markets}) == 3_001


def test_touch_that_comes_late_changes_nothing() -> None:
    desk = a_desk()
    gate = desk.engine.account.gate
    desk.engine.on_top(a_top(bid_e4=4_800, sequence=5), desk.now)
    desk.engine.on_top(a_top(bid_e4=4_600, sequence=4), desk.now)
    older = a_top(bid_e4=4_500, sequence=9, producer="20250101-000000-md", as_of_ms=desk.now.ms - 1)
    desk.engine.on_top(older, desk.now)
    top = gate.top(MARKET)
    assert top is not None
    assert top.bid_e4 == 4_800


def test_second_order_under_one_id_that_a_fill_tells_of_is_counted_booked_and_cancelled() -> None:
    desk = a_desk()
    bid, _ = resting(desk)
    effects = desk.engine.intake.on_fill(a_fill(bid, 100, order_id="another"), desk.now)
    assert cancels(effects) == ["another"]
    assert desk.engine.account.counters["duplicates"] == 1
    assert desk.engine.account.positions.qty_e2(MARKET) == 100
    assert (bid.filled_e2, bid.booked_e2) == (0, 0)
    again = desk.engine.intake.on_fill(
        a_fill(bid, 100, "t2", order_id="another", client_order_id=""), desk.now
    )
    assert cancels(again) == []
    assert desk.engine.account.positions.qty_e2(MARKET) == 200
    assert desk.engine.account.counters["duplicates"] == 1


def test_cancelled_order_does_not_come_back_from_stale_data_of_the_venue() -> None:
    """The seed's bug B-001, loop by loop: a cancel, then a listing that still shows the order."""
    desk = a_desk()
    bid, ask = resting(desk)
    intake, orders = desk.engine.intake, desk.engine.account.orders
    # Loop 1: the target is empty, both are cancelled; a listing had begun before.
    listing_began_ns = desk.now.ns
    as_listed = [told(bid), told(ask)]
    desk.later(0.1)
    desk.accept_all(desk.quote(sequence=2))
    assert list(orders.live()) == []
    # Loop 2: that listing arrives, then one that began after the cancels but lags behind them.
    desk.later(0.2)
    intake.on_listing(as_listed, listing_began_ns, desk.now)
    assert list(orders.live()) == []
    desk.later(0.1)
    intake.on_listing(as_listed, desk.now.ns, desk.now)
    assert list(orders.live()) == []
    # And the loop's targets are planned from what is so: two new creates, no cancel of the dead.
    effects = desk.quote(*BOTH, sequence=3)
    assert [len(batch.creates) for batch in batches(effects)] == [2]
    assert cancels(effects) == []
    assert desk.engine.account.counters["orphans"] == 0


def test_cancel_whose_answer_was_lost_is_asked_for_again_although_no_read_answers() -> None:
    desk = a_desk()
    (bid,) = desk.accept_all(desk.quote(a_quote()))
    (first,) = [one for one in desk.engine.cancel_everything(desk.now) if isinstance(one, SendCancels)]
    assert not cancels(desk.engine.cancel_everything(desk.later(1))), "its answer is still to come"
    desk.engine.intake.on_cancel_answer(first.cancels[0], Unknown(0, "timeout"), desk.now)
    assert cancels(desk.engine.cancel_everything(desk.later(1))) == [bid.order_id]
    # Neither answer nor read: a gate closed for long goes on asking, once a second.
    desk.engine.intake.on_cancel_answer(first.cancels[0], Unknown(0, "timeout"), desk.now)
    desk.engine.on_tick(desk.now)
    desk.later(6)
    assert cancels(desk.engine.on_tick(desk.now)) == [bid.order_id]


def test_position_in_a_market_that_nobody_tells_of_counts_in_its_event() -> None:
    """After a restart, or once marketdata follows fewer markets: the event's cap must see all of it."""
    desk = a_desk()
    account = desk.engine.account
    order = an_order(market="E-1-X", state=OrderState.EXECUTED, filled_e2=500)
    account.orders.add(order)
    desk.engine.intake.on_fill(a_fill(order, 500), desk.now)
    assert account.desk.event_e6("E-1") == 4_800 * 500
    desk.engine.on_status(a_status("E-1-X", event="E-9"), desk.now)
    assert (account.desk.event_e6("E-1"), account.desk.event_e6("E-9")) == (0, 4_800 * 500)
    assert account.event_of("LONE") == "LONE"


def test_quote_whose_cancel_was_lost_is_cancelled_again_while_the_gate_is_open_and_reads_are_sick() -> None:
    desk = a_desk()
    (bid,) = desk.accept_all(desk.quote(a_quote()))
    (sent,) = [one for one in desk.quote(sequence=2) if isinstance(one, SendCancels)]
    desk.engine.intake.on_cancel_answer(sent.cancels[0], Unknown(0, "timeout"), desk.now)
    assert not cancels(desk.engine.on_tick(desk.later(1.5))), "a read may tell"
    desk.later(1.6)
    desk.prove()
    assert cancels(desk.engine.on_tick(desk.now)) == [bid.order_id]
    assert not cancels(desk.engine.on_tick(desk.later(1.1))), "its answer is awaited"

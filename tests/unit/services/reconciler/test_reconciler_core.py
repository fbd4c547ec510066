"""The reconciler's core: what counts, when, and what it leads to."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.env import Env
from libs.common.kalshi.model import FeedClosed, FeedHeard, OwnOrder, VenueOrderStatus
from libs.common.messages.execution import OrderState, RenewV1
from services.reconciler.core.core import ReconcilerCore
from services.reconciler.core.effects import Read
from tests.support.truth_builders import (
    MARKET,
    MS,
    NOW_MS,
    S,
    epoch_event,
    fill_event,
    listing,
    order_event,
    position_event,
    settlement,
    venue_fill,
    venue_order,
    venue_position,
)
from tests.support.truth_scene import CYCLE, PATIENCE, START, Scene, kinds


def test_agreement_opens_the_permit_and_age_closes_it() -> None:
    scene = Scene()
    assert not scene.is_open()
    assert scene.cycle().drifts == ()
    assert scene.is_open()
    scene.core.on_feed(FeedHeard(1), scene.now + 31 * S)
    scene.core.on_renew(RenewV1(account="main", epoch=1, holder="e", counter=1), scene.now + 31 * S)
    assert scene.core.permit(scene.now + 31 * S) == (False, ("the last agreement is too old",))


def test_nothing_is_compared_before_the_executors_word_is_whole() -> None:
    core = ReconcilerCore("main", Env.SIM, PATIENCE)
    assert core.on_tick(START) == []
    assert core.on_epoch(epoch_event(), 1, START) == []
    assert [type(effect) for effect in core.on_replayed(START)] == [Read]


def test_a_difference_counts_at_the_second_sight() -> None:
    scene = Scene()
    scene.cycle()
    orphan = venue_order(5)
    assert scene.cycle(orders=(orphan,)).drifts == ()
    result = scene.cycle(orders=(orphan,))
    assert kinds(result) == ["orders_only_exchange"]
    assert result.orphaned_detected == 1
    assert not scene.is_open()
    assert scene.asked[0].order_ids == ("o5",)
    assert scene.cycle().drifts == ()
    assert scene.is_open()


def test_an_orphan_that_stays_halts() -> None:
    scene = Scene()
    scene.cycle()
    for _ in range(3):
        scene.cycle(orders=(venue_order(5),))
    assert not scene.halts
    scene.cycle(orders=(venue_order(5),))
    scene.cycle(orders=(venue_order(5),))
    assert len(scene.halts) == 1
    assert len(scene.asked) == 1


def test_a_foreign_order_is_reported_and_closes_nothing() -> None:
    scene = Scene()
    scene.cycle()
    by_hand = venue_order(5, client_order_id="by-hand")
    scene.cycle(orders=(by_hand,))
    result = scene.cycle(orders=(by_hand,))
    assert kinds(result) == ["foreign_order"]
    assert result.drifts[0].action == "alert"
    assert scene.is_open()
    assert not scene.asked


def test_a_ghost_is_named_after_the_executor_when_two_say_otherwise() -> None:
    scene = Scene()
    scene.core.on_order(order_event(1), 11, scene.now)
    scene.core.on_feed(OwnOrder(venue_order(1)), scene.now)
    scene.cycle(orders=(venue_order(1),))
    ended = venue_order(1, status=VenueOrderStatus.CANCELED, remaining_e2=0)
    scene.core.on_feed(OwnOrder(ended), scene.now)
    scene.cycle()
    result = scene.cycle()
    assert kinds(result) == ["orders_only_local"]
    assert (result.drifts[0].odd_one_out, result.ghost_detected) == ("executor", 1)


def test_an_order_on_its_way_is_no_evidence_until_it_is_too_long_on_its_way() -> None:
    scene = Scene()
    scene.cycle()
    scene.core.on_order(order_event(1, state=OrderState.UNKNOWN), 11, scene.now)
    assert kinds(scene.cycle(orders=(venue_order(1),))) == []
    scene.cycle(orders=(venue_order(1),))
    assert kinds(scene.cycle(orders=(venue_order(1),))) == ["orders_only_exchange"]


def test_other_terms_than_the_venues_are_found() -> None:
    scene = Scene()
    scene.cycle()
    scene.core.on_order(order_event(1, price_e4=4_100), 11, scene.now)
    scene.core.on_feed(OwnOrder(venue_order(1)), scene.now)
    scene.cycle(orders=(venue_order(1),))
    result = scene.cycle(orders=(venue_order(1),))
    assert kinds(result) == ["order"]
    assert result.drifts[0].odd_one_out == "executor"


def test_a_lost_fill_halts_and_a_late_one_does_not() -> None:
    for journalled in (True, False):
        scene = Scene()
        scene.cycle()
        fill = venue_fill(venue_ms=scene.now_ms)
        parts = {
            "fills": (fill,),
            "positions": (venue_position(100),),
            "balance_e6": 1_000_000_000 - 400_000,
        }
        assert scene.cycle(**parts).drifts == ()
        if journalled:
            scene.core.on_fill(fill_event(fill))
        result = scene.cycle(**parts)
        assert kinds(result) == ([] if journalled else ["fill"])
        assert bool(scene.halts) is not journalled
        if not journalled:
            assert result.drifts[0].odd_one_out == "executor"


def test_a_lost_fill_of_a_dead_executor_waits_for_its_successor() -> None:
    scene = Scene()
    scene.cycle()
    scene.renews = False
    fill = venue_fill(venue_ms=scene.now_ms)
    parts = {
        "fills": (fill,),
        "positions": (venue_position(100),),
        "balance_e6": 1_000_000_000 - 400_000,
    }
    for _ in range(5):
        assert scene.cycle(**parts).drifts == ()
    assert not scene.is_open()
    scene.core.on_epoch(epoch_event(2, genesis_ms=None, genesis_balance_e6=None), 20, scene.now)
    scene.core.on_fill(fill_event(fill))
    scene.core.on_renew(RenewV1(account="main", epoch=2, holder="e", counter=1), scene.now + CYCLE)
    assert scene.cycle(**parts).drifts == ()
    assert scene.is_open()
    assert not scene.halts


def test_a_position_that_the_executor_has_wrong_halts() -> None:
    scene = Scene()
    scene.cycle()
    fill = venue_fill(venue_ms=NOW_MS)
    scene.core.on_fill(fill_event(fill))
    parts = {
        "fills": (fill,),
        "positions": (venue_position(100),),
        "balance_e6": 1_000_000_000 - 400_000,
    }
    for sequence in (1, 2):
        scene.core.on_position(position_event(qty_e2=200, sequence=sequence), scene.now + CYCLE)
        result = scene.cycle(**parts)
    assert kinds(result) == ["position"]
    assert result.position_residual_e2 == 100
    assert scene.halts


def test_money_that_nothing_explains_halts() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle(balance_e6=1_000_000_100)
    result = scene.cycle(balance_e6=1_000_000_100)
    assert kinds(result) == ["cash"]
    assert result.cash_residual_e6 == 100
    assert scene.halts[0].halt.trigger == "recon_cash"


def test_money_that_drifts_by_another_amount_each_time_is_found_too() -> None:
    scene = Scene()
    for off in range(1, 4):
        assert scene.cycle(balance_e6=1_000_000_000 + off).drifts == ()
    assert kinds(scene.cycle(balance_e6=1_000_000_004)) == ["cash"]


def test_a_settled_market_agrees_when_the_venue_paid_what_was_held() -> None:
    scene = Scene()
    scene.cycle()
    fill = venue_fill(side=Side.ASK, price_e4=3_000, qty_e2=100, fee_e6=100)
    scene.core.on_fill(fill_event(fill))
    paid = settlement(no_e2=100, result="no", revenue_e6=1_000_000)
    balance = 1_000_000_000 - 700_000 - 100 + 1_000_000
    for _ in range(3):
        result = scene.cycle(fills=(fill,), settlements=(paid,), balance_e6=balance)
        assert result.drifts == ()
    assert (result.position_residual_e2, result.cash_residual_e6) == (0, 0)
    wrong = Scene()
    wrong.core.on_fill(fill_event(fill))
    short = settlement(no_e2=90, result="no", revenue_e6=900_000)
    for _ in range(3):
        result = wrong.cycle(fills=(fill,), settlements=(short,), balance_e6=balance - 100_000)
    assert [drift.key for drift in result.drifts] == [f"{MARKET}/settlement"]


def test_what_was_before_genesis_is_not_ours_to_explain() -> None:
    scene = Scene()
    before = venue_fill("old", qty_e2=500, venue_ms=NOW_MS - 7_200_000)
    parts = {"fills": (before,), "positions": (venue_position(500),)}
    scene.cycle(**parts)
    assert scene.cycle(**parts).drifts == ()


def test_a_drop_copy_that_stands_alone_is_an_alert_and_nothing_more() -> None:
    scene = Scene()
    scene.core.on_order(order_event(1), 11, scene.now)
    scene.core.on_feed(OwnOrder(venue_order(1, price_e4=9_000)), scene.now)
    scene.cycle(orders=(venue_order(1),))
    result = scene.cycle(orders=(venue_order(1),))
    assert (result.drifts[0].odd_one_out, result.drifts[0].action) == ("drop_copy", "alert")
    assert scene.is_open()


def test_a_new_epoch_bars_until_a_comparison_that_began_after_it_agrees() -> None:
    scene = Scene()
    scene.cycle()
    assert scene.is_open()
    scene.core.on_epoch(epoch_event(2), 20, scene.now)
    assert not scene.is_open()
    scene.renews = False
    scene.core.on_renew(RenewV1(account="main", epoch=2, holder="e", counter=1), scene.now + CYCLE)
    scene.cycle()
    assert scene.is_open()


def test_while_a_new_leader_puts_its_books_in_order_nothing_is_held_against_it() -> None:
    scene = Scene()
    fill = venue_fill(venue_ms=NOW_MS)
    parts = {
        "fills": (fill,),
        "positions": (venue_position(100),),
        "balance_e6": 1_000_000_000 - 400_000,
    }
    for _ in range(4):
        assert scene.cycle(**parts).drifts == ()
        assert not scene.is_open()
    for _ in range(3):
        result = scene.cycle(**parts)
    assert kinds(result) == ["fill"]
    assert scene.halts


def test_orders_of_a_dead_epoch_are_history_that_its_successor_clears() -> None:
    scene = Scene()
    scene.core.on_order(order_event(1), 11, scene.now)
    scene.cycle(orders=(venue_order(1),))
    scene.core.on_epoch(epoch_event(2), 20, scene.now)
    scene.renews = False
    for number in range(3):
        renew = RenewV1(account="main", epoch=2, holder="e", counter=number)
        scene.core.on_renew(renew, scene.now + CYCLE)
        assert scene.cycle().drifts == ()
    assert scene.is_open()


def test_before_anybody_led_an_order_of_ours_keeps_the_permit_closed() -> None:
    scene = Scene(leads=False)
    scene.cycle(orders=(venue_order(1),))
    assert not scene.is_open()
    assert kinds(scene.cycle(orders=(venue_order(1),))) == ["orders_only_exchange"]
    assert not scene.is_open()
    scene.cycle()
    assert scene.is_open()


def test_a_cut_feed_closes_the_permit_and_forgets() -> None:
    scene = Scene()
    scene.core.on_feed(OwnOrder(venue_order(1)), scene.now)
    scene.cycle(orders=())
    scene.core.on_feed(FeedClosed("cut"), scene.now)
    assert not scene.is_open()
    scene.cycle()
    assert scene.cycle().drifts == ()


def test_comparing_twice_within_the_confirming_time_counts_once() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle(orders=(venue_order(5),))
    soon = S // 2
    again = listing(now_ns=scene.now + soon, now_ms=scene.now_ms + 500, orders=(venue_order(5),))
    assert scene.take(scene.core.on_listing(again, "request", scene.now + soon)).drifts == ()


def test_a_request_runs_at_once_and_a_timer_waits_its_turn() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle()
    assert scene.core.on_tick(scene.now + 1) == []
    assert [type(e) for e in scene.core.on_request("request", scene.now + 1)] == [Read]
    assert scene.core.on_request("request", scene.now + 2) == []


def test_a_venue_that_cannot_be_read_is_told_in_the_next_result() -> None:
    scene = Scene()
    scene.cycle()
    scene.core.on_tick(scene.now + CYCLE)
    scene.core.on_read_failed("VenueUnavailable: timeout", scene.now + CYCLE)
    assert "VenueUnavailable: timeout" in scene.cycle().errors


def test_a_new_difference_is_looked_at_again_after_a_second_and_not_for_ever() -> None:
    scene = Scene()
    scene.cycle()
    orphan = venue_order(5)
    scene.cycle(orders=(orphan,))
    assert scene.core.on_tick(scene.now + S - 1) == []
    (read,) = scene.core.on_tick(scene.now + S)
    assert isinstance(read, Read)
    assert read.reason == "confirm"
    again = listing(now_ns=scene.now + S, now_ms=scene.now_ms + 1_000, orders=(orphan,))
    scene.core.on_renew(RenewV1(account="main", epoch=1, holder="e", counter=1), scene.now + S)
    assert kinds(scene.take(scene.core.on_listing(again, "confirm", scene.now + S))) == [
        "orders_only_exchange"
    ]
    assert scene.core.on_tick(scene.now + 3 * S) == [], "what counts is known; the cycle is enough"


def test_differences_that_change_each_time_do_not_make_every_second_a_comparison() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle(orders=(venue_order(5),))
    confirmations, now = 0, scene.now
    for number in range(6, 15):
        now += S
        for effect in scene.core.on_tick(now):
            assert isinstance(effect, Read)
            confirmations += 1
            read = listing(
                now_ns=now, now_ms=scene.now_ms + (now - scene.now) // MS, orders=(venue_order(number),)
            )
            scene.core.on_listing(read, effect.reason, now)
    assert confirmations == 2 * PATIENCE.confirm_cycles


def disputed(scene: Scene, seconds: float) -> list[str]:
    """Let time pass in quarters of a second, everybody alive; return the reasons of readings."""
    reasons: list[str] = []
    for _ in range(round(4 * seconds)):
        scene.now += S // 4
        scene.core.on_feed(FeedHeard(scene.now_ms), scene.now)
        renew = RenewV1(account="main", epoch=1, holder="e", counter=scene.now)
        scene.core.on_renew(renew, scene.now)
        reasons += [e.reason for e in scene.core.on_tick(scene.now) if isinstance(e, Read)]
    return reasons


def test_what_one_stream_has_and_the_other_lacks_starts_a_comparison_and_says_so_once() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle()
    scene.core.on_feed(OwnOrder(venue_order(5)), scene.now)
    assert disputed(scene, 2) == []
    assert disputed(scene, 1) == ["anomaly"]


def test_streams_that_tell_the_same_a_moment_apart_start_nothing() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle()
    scene.core.on_feed(OwnOrder(venue_order(5)), scene.now)
    assert disputed(scene, 1) == []
    scene.core.on_order(order_event(5), 11, scene.now)
    assert disputed(scene, 5) == []


def test_a_claim_about_a_position_that_the_venue_did_not_tell_starts_a_comparison() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle()
    scene.core.on_position(position_event(qty_e2=100), scene.now + 3 * S)
    assert disputed(scene, 3) == ["anomaly"]


def test_everything_that_halts_is_one_halt() -> None:
    scene = Scene()
    scene.cycle()
    fill = venue_fill(venue_ms=scene.now_ms)
    parts = {"fills": (fill,), "positions": (venue_position(100),), "balance_e6": 7}
    for _ in range(3):
        result = scene.cycle(**parts)
    assert {"fill", "cash"} <= set(kinds(result))
    (halt,) = scene.halts
    assert halt.halt.trigger == "recon_cash"
    for kind in set(kinds(result)):
        assert kind in halt.halt.reason


def test_a_reading_without_a_balance_neither_forgets_nor_forgives_money() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle(balance_e6=1_000_000_100)
    assert scene.cycle(balance_e6=None).drifts == ()
    assert kinds(scene.cycle(balance_e6=1_000_000_100)) == ["cash"]
    assert kinds(scene.cycle(balance_e6=None)) == ["cash"], "what was known of it stands"
    assert not scene.is_open()
    assert scene.cycle().drifts == ()
    assert scene.is_open()


def test_agreement_needs_a_balance_now_and_then() -> None:
    scene = Scene()
    scene.cycle()
    for _ in range(3):
        scene.cycle(balance_e6=None)
        assert scene.is_open()
    for _ in range(4):
        scene.cycle(balance_e6=None)
    assert not scene.is_open()
    scene.cycle()
    assert scene.is_open()


def test_an_orphan_has_a_row_and_ours_resolves_itself() -> None:
    scene = Scene()
    scene.cycle()
    orphan = venue_order(5)
    for _ in range(3):
        result = scene.cycle(orders=(orphan,))
    (entry,) = result.orphans
    assert (entry.ticker, entry.side, entry.size_e2, entry.avg_price_e4) == (MARKET, "bid", 1_000, 4_000)
    assert [(row.id, row.is_ours, row.resolved) for row in scene.rows] == [("o5", True, False)]
    scene.cycle()
    assert [(row.id, row.resolution_action) for row in scene.rows[1:]] == [("o5", "AUTO_CLOSE")]


def test_a_position_that_the_executor_denies_is_an_orphan_for_a_person_to_close() -> None:
    scene = Scene()
    scene.cycle()
    fill = venue_fill(venue_ms=NOW_MS, position_after_e2=100)
    scene.core.on_fill(fill_event(fill))
    parts = {
        "fills": (fill,),
        "positions": (venue_position(100, cost_e6=400_000),),
        "balance_e6": 1_000_000_000 - 400_000,
    }
    for sequence in (1, 2, 3):
        scene.core.on_position(position_event(qty_e2=0, sequence=sequence), scene.now + CYCLE)
        result = scene.cycle(**parts)
    assert [(d.kind, d.action, d.odd_one_out) for d in result.drifts] == [("position", "close", "executor")]
    (entry,) = result.orphans
    assert (entry.ticker, entry.side, entry.size_e2, entry.avg_price_e4) == (MARKET, "yes", 100, 4_000)
    assert scene.halts
    assert [(row.order_id, row.ticker) for row in scene.rows] == [("", MARKET)]


def test_a_reading_that_failed_is_tried_again_soon_and_then_once_a_cycle() -> None:
    scene = Scene()
    scene.cycle()
    scene.cycle()
    tried: list[int] = []
    began = scene.now + CYCLE
    for second in range(31):
        now = began + second * S
        if any(isinstance(effect, Read) for effect in scene.core.on_tick(now)):
            tried.append(second)
            scene.core.on_read_failed("VenueUnavailable: timeout", now)
    assert tried == [0, 1, 2, 3, 4, 14, 24]


def test_an_order_whose_status_the_feed_calls_unknown_is_left_to_the_other_two() -> None:
    scene = Scene()
    scene.core.on_order(order_event(1), 11, scene.now)
    scene.core.on_feed(OwnOrder(venue_order(1)), scene.now)
    scene.core.on_feed(OwnOrder(venue_order(1, status=VenueOrderStatus.UNKNOWN)), scene.now)
    for _ in range(3):
        assert scene.cycle(orders=(venue_order(1, updated_ms=NOW_MS),)).drifts == ()
    scene.core.on_feed(OwnOrder(venue_order(1, price_e4=9_000)), scene.now)
    for _ in range(3):
        result = scene.cycle(orders=(venue_order(1, updated_ms=NOW_MS),))
    assert [drift.odd_one_out for drift in result.drifts] == ["drop_copy"]

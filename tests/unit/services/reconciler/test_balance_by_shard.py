"""The balance of each shard in the reconciler's core: what explains it, what halts, what is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from libs.common.kalshi.model import FeedHeard, OwnFill, VenueBalance, VenueFunding, VenueTransfer
from libs.common.messages.execution import RenewV1
from libs.common.messages.risk import ReconResultV1
from services.reconciler.core.balance_proof import ALL_SHARDS
from tests.support.truth_builders import (
    MARKET,
    epoch_event,
    fill_event,
    listing,
    settlement,
    venue_fill,
    venue_position,
)
from tests.support.truth_scene import CYCLE, Scene, kinds

CASH = {0: 600_000_000, 2: 400_000_000}


class Shards(Scene):
    """A core that knows the genesis cash of two shards and has agreed once."""

    def __init__(self) -> None:
        super().__init__(leads=False)
        self.core.on_epoch(epoch_event(genesis_shards_e6=tuple(CASH.items())), 10, self.now)
        assert self.read(CASH).drifts == ()

    def read(
        self,
        cash: dict[int, int],
        times: int = 1,
        *,
        transfers: tuple[VenueTransfer, ...] = (),
        fundings: tuple[VenueFunding, ...] = (),
        total_e6: int | None = None,
        **parts: Any,
    ) -> ReconResultV1:
        """Return the last of some comparisons of the same, a cycle apart each."""
        for _ in range(times):
            self.now += CYCLE
            self.core.on_feed(FeedHeard(self.now_ms), self.now)
            for fill in parts.get("fills", ()):
                self.core.on_feed(OwnFill(fill), self.now)
            renew = RenewV1(account="main", epoch=1, holder="e", counter=self.now)
            self.core.on_renew(renew, self.now)
            self.core.on_tick(self.now)
            whole = sum(cash.values()) if total_e6 is None else total_e6
            told = replace(
                listing(now_ns=self.now, now_ms=self.now_ms, **parts),
                balance=VenueBalance(whole, cash, self.now_ms),
                transfers=transfers,
                fundings=fundings,
            )
            result = self.take(self.core.on_listing(told, "timer", self.now))
        return result


def test_money_missing_on_one_shard_and_found_on_another_halts_though_the_total_is_right() -> None:
    scene = Shards()

    result = scene.read({0: CASH[0] - 100, 2: CASH[2] + 100}, 3)

    assert [drift.key for drift in result.drifts] == ["balance/shard-0", "balance/shard-2"]
    assert kinds(result) == ["cash", "cash"]
    assert result.cash_residual_e6 == 0
    assert dict(result.shard_residuals_e6) == {0: -100, 2: 100}
    assert scene.halts[0].halt.trigger == "recon_cash"
    assert not scene.is_open()


def test_the_result_names_every_shard_when_nothing_is_missing() -> None:
    assert Shards().read(CASH).shard_residuals_e6 == ((0, 0), (2, 0))


def test_a_transfer_halts_nobody_on_its_way_and_is_missed_when_it_never_arrives() -> None:
    scene = Shards()
    moved = VenueTransfer("t", 0, 2, 5_000_000, "pending", scene.now_ms)
    done = replace(moved, status="complete")
    gone = {0: CASH[0] - 5_000_000, 2: CASH[2]}
    there = {0: CASH[0] - 5_000_000, 2: CASH[2] + 5_000_000}

    assert scene.read(gone, 3, transfers=(moved,)).drifts == ()
    just_done = scene.read(gone, transfers=(done,))
    assert (just_done.drifts, just_done.errors) == ((), ()), "the balance was read a moment before"
    assert scene.read(there, 3, transfers=(done,)).drifts == ()
    assert not scene.halts

    assert [d.key for d in scene.read(gone, 3, transfers=(done,)).drifts] == ["balance/shard-2"]


def test_a_deposit_is_looked_for_on_every_shard_and_explains_itself_once() -> None:
    scene = Shards()
    funding = VenueFunding("f", 9_000_000, "applied", scene.now_ms, fee_e6=10_000)
    there = {0: CASH[0], 2: CASH[2] + 8_990_000}
    twice = {0: CASH[0] + 8_990_000, 2: CASH[2] + 8_990_000}

    assert scene.read(there, 3, fundings=(funding,)).drifts == ()
    assert [d.key for d in scene.read(twice, 3, fundings=(funding,)).drifts] == ["balance/shard-0"]


def test_a_payout_that_is_corrected_is_explained_and_the_position_stays_settled() -> None:
    scene = Shards()
    fill = venue_fill(qty_e2=100, price_e4=4_000, fee_e6=100, shard=2)
    scene.core.on_fill(fill_event(fill))
    first = settlement(yes_e2=100, revenue_e6=1_000_000, shard=2)
    paid = {0: CASH[0], 2: CASH[2] - 400_100 + 1_000_000}
    corrected = {0: CASH[0], 2: paid[2] - 670_000}
    assert scene.read(paid, 3, fills=(fill,), settlements=(first,)).drifts == ()

    second = replace(first, result="scalar", revenue_e6=330_000, fee_e6=3_300, settled_ms=scene.now_ms)
    lags = scene.read(paid, fills=(fill,), settlements=(second,))
    result = scene.read(corrected, 3, fills=(fill,), settlements=(second, first))

    assert (lags.drifts, lags.errors, result.drifts, result.errors) == ((), (), (), ())
    assert (result.position_residual_e2, dict(result.shard_residuals_e6)) == (0, {0: 0, 2: 0})
    assert not scene.halts
    assert kinds(scene.read(paid, 3, fills=(fill,), settlements=(second,))) == ["cash"]


def test_a_disputed_market_is_held_and_not_settled() -> None:
    """It has no record and its position is listed; nothing is missing."""
    scene = Shards()
    fill = venue_fill(qty_e2=100, price_e4=4_000, shard=2)
    scene.core.on_fill(fill_event(fill))
    cash = {0: CASH[0], 2: CASH[2] - 400_000}

    result = scene.read(cash, 3, fills=(fill,), positions=(venue_position(100),))

    assert (result.drifts, result.errors, scene.core.listing.settled_ms) == ((), (), {})
    assert scene.core.listing.filled_e2(MARKET) == 100


def test_a_balance_without_its_breakdown_proves_the_account_as_a_whole() -> None:
    for off_e6, keys in ((0, []), (100, ["balance"])):
        result = Shards().read({}, 3, total_e6=sum(CASH.values()) + off_e6)

        assert [drift.key for drift in result.drifts] == keys
        assert result.shard_residuals_e6 == ((ALL_SHARDS, off_e6),)

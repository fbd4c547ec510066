"""The balance proof against the double-entry ledger, and against lag."""

from __future__ import annotations

import itertools
import random

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.ledger import AccountLedger, Fill
from libs.common.domain.side import Side
from libs.common.kalshi.model import VenueBalance, VenueFill, VenueFunding, VenueTransfer
from services.reconciler.core.balance_proof import ALL_SHARDS, BalanceProof, GenesisCash, prove_balance
from services.reconciler.core.cash import Event, Sums, in_venue_order, position_residual_e2
from services.reconciler.core.funding import FundingBook
from tests.support.truth_builders import settlement, venue_fill

GENESIS_MS = 500
"""Before every fill of these tests."""
CUTOFF_MS = 1_000_000

trades = st.lists(
    st.tuples(
        st.sampled_from(["A", "B"]),
        st.sampled_from(Side),
        st.integers(1, 9_999),
        st.integers(1, 500),
        st.integers(0, 300),
    ),
    max_size=12,
)
Trade = tuple[str, Side, int, int, int]


def fills_of(made: list[Trade]) -> list[VenueFill]:
    return [
        venue_fill(f"t{n}", market=m, side=side, price_e4=p, qty_e2=q, fee_e6=fee * 100, venue_ms=1_000 + n)
        for n, (m, side, p, q, fee) in enumerate(made)
    ]


def proof(  # noqa: PLR0917 - all that is known of the money
    genesis: dict[int, int],
    now: dict[int, int],
    old: Sums,
    young: list[Event] | None = None,
    fundings: FundingBook | None = None,
    cutoff_ms: int = CUTOFF_MS,
) -> BalanceProof:
    return prove_balance(
        GenesisCash(sum(genesis.values()), genesis, GENESIS_MS),
        VenueBalance(sum(now.values()), now, 0),
        old,
        young or [],
        Sums(),
        fundings or FundingBook(),
        cutoff_ms,
    )


def left(old: Sums, young: list[Event], change_e6: int) -> int:
    """Return what is left of a change of the balance of shard 0."""
    return proof({0: 0}, {0: change_e6}, old, young).residuals_e6[0]


def ledger_of(fills: list[VenueFill]) -> AccountLedger:
    ledger = AccountLedger()
    for f in fills:
        ledger.apply_fill(Fill(f.trade_id, f.order_id, f.market, f.side, f.price_e4, f.qty_e2, f.fee_e6))
    return ledger


@given(trades, st.randoms(use_true_random=False))
def test_the_sum_is_the_ledgers_cash_in_any_order(made: list[Trade], shuffler: object) -> None:
    fills = fills_of(made)
    ledger = ledger_of(fills)
    shuffled = list(fills)
    shuffler.shuffle(shuffled)  # type: ignore[attr-defined]
    sums = Sums()
    for fill in shuffled:
        sums.apply(fill)
    assert sums.cash_e6 == ledger.cash_e6
    assert dict(sums.positions()) == ledger.quantities()


@given(trades, st.integers(0, 12))
def test_a_settlement_pays_what_the_ledger_says_wherever_it_is_counted(made: list[Trade], place: int) -> None:
    fills = fills_of(made)
    ledger = ledger_of(fills)
    qty_e2 = ledger.position("A").qty_e2
    paid = settlement("A", yes_e2=max(qty_e2, 0), no_e2=max(-qty_e2, 0), revenue_e6=max(qty_e2, 0) * 10_000)
    ledger.apply_settlement("A", paid.gross_e6, paid.fee_e6)
    events: list[Event] = [*fills[:place], paid, *fills[place:]]
    sums = Sums()
    for event in events:
        sums.apply(event)
    assert sums.cash_e6 == ledger.cash_e6
    assert sums.position_e2("A") == 0


@given(trades, st.integers(0, 12), st.integers(0, 12))
def test_a_reading_that_lags_is_explained(made: list[Trade], split: int, seen: int) -> None:
    """Whatever prefix of the young fills a reading contains, the residual is zero."""
    fills = fills_of(made)
    split, seen = min(split, len(fills)), min(seen, len(fills))
    old = Sums()
    for fill in fills[:split]:
        old.apply(fill)
    young = in_venue_order(fills[split:])
    shown = ledger_of(fills[: max(split, seen)])
    assert left(old, young, shown.cash_e6) == 0
    for market in ("A", "B"):
        assert position_residual_e2(old, young, market, shown.position(market).qty_e2) == 0


@given(trades, st.integers(1, 10_000))
def test_money_that_nothing_explains_is_found_to_the_millionth(made: list[Trade], off_e6: int) -> None:
    old = Sums()
    for fill in fills_of(made):
        old.apply(fill)
    for sign in (1, -1):
        assert left(old, [], old.cash_e6 + sign * off_e6) == sign * off_e6


def test_the_documented_fee_rounding_adds_up() -> None:
    """Four fills of one contract at 0.52 in one order: 0.0175 three times, then 0.0174 (kalshi-api 21.2)."""
    sums = Sums()
    for n, fee_e6 in enumerate((17_500, 17_500, 17_500, 17_400)):
        sums.apply(venue_fill(f"t{n}", price_e4=5_200, qty_e2=100, fee_e6=fee_e6, is_taker=True))
    assert sums.cash_e6 == -4 * 520_000 - 69_900


def test_a_pair_of_both_legs_gives_its_dollar_back() -> None:
    for first, second in itertools.permutations((Side.BID, Side.ASK)):
        sums = Sums()
        sums.apply(venue_fill("t1", side=first, price_e4=4_000))
        sums.apply(venue_fill("t2", side=second, price_e4=4_000))
        assert sums.cash_e6 == 0


shards = st.integers(0, 3)
amounts = st.integers(1, 10**9).map(lambda amount: amount * 100)


def transfer(
    number: int, source: int, target: int, amount_e6: int, status: str = "complete"
) -> VenueTransfer:
    return VenueTransfer(f"t{number}", source, target, amount_e6, status, 2_000)


@given(st.lists(st.tuples(shards, shards, amounts, st.sampled_from(["none", "out", "both"])), max_size=5))
def test_a_transfer_is_explained_on_each_shard_however_far_it_has_come(
    made: list[tuple[int, int, int, str]],
) -> None:
    """Pending, the venue may have booked no leg or the first; complete and old, both must be there."""
    book, now = FundingBook(), dict.fromkeys(range(4), 10**12)
    genesis = dict(now)
    book.take((), (), 0)
    told: list[VenueTransfer] = []
    for number, (source, target, amount_e6, booked) in enumerate(made):
        told.append(
            transfer(number, source, target, amount_e6, "complete" if booked == "both" else "pending")
        )
        now[source] -= 0 if booked == "none" else amount_e6
        now[target] += amount_e6 if booked == "both" else 0
    book.take(told, (), CUTOFF_MS - 1)

    assert set(proof(genesis, now, Sums(), fundings=book).residuals_e6.values()) == {0}


@given(shards, shards.map(lambda shard: shard + 4), amounts, st.integers(1, 10**6))
def test_a_complete_transfer_must_be_in_both_balances_once_its_word_is_old(
    source: int, target: int, amount_e6: int, off_e6: int
) -> None:
    book = FundingBook()
    book.take((), (), 0)
    book.take([transfer(1, source, target, amount_e6)], (), CUTOFF_MS)
    before = {source: 10**12, target: 10**12}

    while_young = proof(before, before, Sums(), fundings=book, cutoff_ms=CUTOFF_MS)
    once_old = proof(before, before, Sums(), fundings=book, cutoff_ms=CUTOFF_MS + 1)
    moved = {source: 10**12 - amount_e6, target: 10**12 + amount_e6 + off_e6}
    with_more = proof(before, moved, Sums(), fundings=book, cutoff_ms=CUTOFF_MS + 1)

    assert dict(while_young.residuals_e6) == {source: 0, target: 0}
    assert dict(once_old.residuals_e6) == {source: amount_e6, target: -amount_e6}
    assert once_old.total_e6 == 0
    assert dict(with_more.residuals_e6) == {source: 0, target: off_e6}


@given(st.lists(st.tuples(shards, st.integers(1, 10**6), st.integers(0, 50), st.booleans()), max_size=3))
def test_a_deposit_is_found_on_its_shard_and_stays_there(made: list[tuple[int, int, int, bool]]) -> None:
    """The venue tells neither shard nor whether the fee is inside; the balance does, for good."""
    book, now = FundingBook(), dict.fromkeys(range(4), 10**12)
    genesis = dict(now)
    book.take((), (), 0)
    told = [
        VenueFunding(f"f{n}", cents * 10_000, "applied", 3_000, fee * 10_000)
        for n, (_, cents, fee, _) in enumerate(made)
    ]
    for shard, cents, fee, is_inside in made:
        now[shard] += (cents - fee * is_inside) * 10_000
    book.take((), told, CUTOFF_MS - 1)

    assert set(proof(genesis, now, Sums(), fundings=book).residuals_e6.values()) == {0}
    assert set(proof(genesis, now, Sums(), fundings=book).residuals_e6.values()) == {0}
    for shard in now:
        off = {one: cash + 100 * (one == shard) for one, cash in now.items()}
        assert proof(genesis, off, Sums(), fundings=book).total_e6 != 0


def test_a_deposit_that_is_pending_or_failed_explains_nothing_and_a_returned_one_no_longer() -> None:
    book, genesis = FundingBook(), {0: 0, 2: 0}
    book.take((), (), 0)
    for status in ("pending", "failed"):
        book.take((), [VenueFunding("f1", 500, status, 3_000)], CUTOFF_MS - 1)
        assert proof(genesis, {0: 500, 2: 0}, Sums(), fundings=book).total_e6 == 500
    book.take((), [VenueFunding("f2", 700, "applied", 3_000)], CUTOFF_MS - 1)
    assert proof(genesis, {0: 0, 2: 700}, Sums(), fundings=book).total_e6 == 0

    book.take((), [VenueFunding("f2", 700, "returned", 4_000)], CUTOFF_MS)

    for cash_e6 in (700, 0):
        assert proof(genesis, {0: 0, 2: cash_e6}, Sums(), fundings=book, cutoff_ms=CUTOFF_MS).total_e6 == 0
    later = CUTOFF_MS + 1
    assert proof(genesis, {0: 0, 2: 0}, Sums(), fundings=book, cutoff_ms=later).total_e6 == 0
    assert proof(genesis, {0: 0, 2: 700}, Sums(), fundings=book, cutoff_ms=later).total_e6 == 700


@given(trades, st.integers(-10_000, 10_000).filter(bool))
def test_a_corrected_payout_is_its_difference_young_or_old(made: list[Trade], change_e4: int) -> None:
    old, book, change_e6 = Sums(), FundingBook(), change_e4 * 10_000
    for fill in fills_of(made):
        old.apply(fill)
    old.apply(settlement("A", revenue_e6=10**9))
    book.correct("A", 0, change_e6, CUTOFF_MS)

    for cash_e6 in (old.cash_e6, old.cash_e6 + change_e6):
        assert proof({0: 0}, {0: cash_e6}, old, fundings=book, cutoff_ms=CUTOFF_MS).total_e6 == 0
    later = CUTOFF_MS + 1
    assert proof({0: 0}, {0: old.cash_e6}, old, fundings=book, cutoff_ms=later).total_e6 == -change_e6
    settled = proof({0: 0}, {0: old.cash_e6 + change_e6}, old, fundings=book, cutoff_ms=later)
    assert settled.total_e6 == 0
    assert book.booked_e6 == {0: change_e6}


def test_money_that_changed_shards_by_itself_is_told_though_the_total_is_right() -> None:
    found = proof({0: 1_000, 2: 1_000}, {0: 900, 2: 1_100}, Sums())

    assert (dict(found.residuals_e6), found.total_e6) == ({0: -100, 2: 100}, 0)


def test_without_a_breakdown_the_account_is_proven_as_a_whole() -> None:
    book, whole = FundingBook(), VenueBalance(1_700, {}, 0)
    book.take((), (), 0)
    book.take([transfer(1, 0, 2, 300)], [VenueFunding("f", 700, "applied", 3_000)], CUTOFF_MS - 1)
    genesis = GenesisCash(1_000, {0: 1_000}, GENESIS_MS)

    found = prove_balance(genesis, whole, Sums(), [], Sums(), book, CUTOFF_MS)

    assert dict(found.residuals_e6) == {ALL_SHARDS: 0}
    assert book.booked_e6 == {}, "nothing is placed by a balance that tells no shards"


def test_what_was_done_before_genesis_is_in_its_balance() -> None:
    book = FundingBook()
    genesis = GenesisCash(1_000, {0: 500, 2: 500}, 10_000_000)
    book.take(
        [VenueTransfer("t", 0, 2, 300, "complete", 2_000)],
        [VenueFunding("f", 700, "applied", 3_000)],
        20_000_000,
    )

    found = prove_balance(
        genesis, VenueBalance(1_000, {0: 500, 2: 500}, 0), Sums(), [], Sums(), book, 19_998_000
    )

    assert set(found.residuals_e6.values()) == {0}


def test_two_places_that_fit_leave_a_deposit_open_until_one_of_them_is_ruled_out() -> None:
    """A deposit arrives while a transfer of the same amount is on the road: either may be what shows."""
    book, genesis = FundingBook(), {0: 1_000, 2: 1_000}
    book.take((), (), 0)
    pending = VenueTransfer("t", 0, 2, 300, "pending", 2_000)
    book.take([pending], [VenueFunding("f", 300, "applied", 3_000)], CUTOFF_MS - 1)

    # The transfer has left shard 0 and the deposit has come in there; or nothing left and it came in nowhere.
    assert proof(genesis, {0: 1_000, 2: 1_000}, Sums(), fundings=book).total_e6 == 0
    book.take([VenueTransfer("t", 0, 2, 300, "complete", 2_000)], (), CUTOFF_MS - 1)
    done = proof(genesis, {0: 1_000, 2: 1_300}, Sums(), fundings=book)

    assert set(done.residuals_e6.values()) == {0}
    assert sum(book.booked_e6.values()) == 300


@given(st.integers(6, 40), st.randoms(use_true_random=False), st.integers(1, 10**6))
def test_after_a_restart_many_deposits_are_placed_together_and_nothing_else_with_them(
    count: int, chance: random.Random, off_e6: int
) -> None:
    """Too many to try each; their total must fit, and what comes later must be explained on its own."""
    book, now, told = FundingBook(), dict.fromkeys(range(4), 0), []
    for number in range(count):
        shard, cents = chance.randrange(4), chance.choice([1, 1, 1, -1]) * chance.randrange(1, 10**7)
        fee = chance.choice([0, 0, 25])
        told.append(VenueFunding(f"f{number}", cents * 10_000, "applied", 3_000, fee * 10_000))
        now[shard] += (cents - fee) * 10_000
    genesis, book_of_more = dict.fromkeys(range(4), 0), FundingBook()
    for one in (book, book_of_more):
        one.take((), told, CUTOFF_MS)
    more = {shard: cash + off_e6 * (shard == 1) for shard, cash in now.items()}

    # Half a cent is no cent, so no set of fees can hide it.
    off_cent = {shard: cash + 5_000 * (shard == 1) for shard, cash in now.items()}
    assert any(proof(genesis, off_cent, Sums(), fundings=book_of_more).residuals_e6.values())
    assert not any(proof(genesis, now, Sums(), fundings=book).residuals_e6.values())
    assert book.open() == []
    assert not any(proof(genesis, now, Sums(), fundings=book).residuals_e6.values())
    assert dict(proof(genesis, more, Sums(), fundings=book).residuals_e6) == {0: 0, 1: off_e6, 2: 0, 3: 0}


def test_many_transfers_on_the_road_at_once_are_followed() -> None:
    book, now = FundingBook(), dict.fromkeys(range(4), 10**12)
    genesis, told = dict(now), []
    book.take((), (), 0)
    for number in range(9):
        source, amount_e6 = number % 4, (number + 1) * 1_000_000
        told.append(transfer(number, source, (source + 1) % 4, amount_e6, "pending"))
        now[source] -= amount_e6
    book.take(told, (), CUTOFF_MS - 1)

    assert not any(proof(genesis, now, Sums(), fundings=book).residuals_e6.values())

"""One comparison: from the three views and one reading to all differences.

The witnesses' words are cut to what is old enough, positions are explained by
the young events, `diff` compares, and three proofs are added that need no second
witness: listed positions against the sum of fills, settled quantities against
the same, and the balance against everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from libs.common.env import Env
from libs.common.kalshi.model import VenueBalance, VenueFill
from libs.common.messages.execution import FillV1
from services.reconciler.core.balance_proof import ALL_SHARDS, BalanceProof, prove_balance
from services.reconciler.core.cash import Event, in_venue_order
from services.reconciler.core.diff import SILENT_TEXT, Difference, Kind, diff
from services.reconciler.core.drop_copy_view import DropCopyView
from services.reconciler.core.executor_view import ExecutorView
from services.reconciler.core.listing_view import Listing, ListingView
from services.reconciler.core.settle import explained_positions
from services.reconciler.core.witness import SILENT, FillKey, Name, is_ours_in

_MS = 1_000_000
_LISTING = frozenset({Name.LISTING.value})


@dataclass(frozen=True, slots=True)
class Moment:
    """When the comparison happens and how much lag is normal."""

    now_ns: int
    settle_ms: int
    recovery_ns: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came out.

    Attributes:
        differences: All of them; whether one counts is decided by `settle.Ripening`.
        agreed: Fills that need not be compared again, with their venue time.
        agreed_count: How many things were compared and found equal.
        cash: What the balance proof leaves, None where it could not be made.
    """

    differences: tuple[Difference, ...]
    agreed: Mapping[FillKey, int]
    agreed_count: int
    cash: BalanceProof | None = None

    @property
    def position_residual_e2(self) -> int:
        """Return the contracts that are unexplained, all markets together."""
        return sum(abs(d.residual) for d in self.differences if d.kind is Kind.POSITION)

    @property
    def cash_residual_e6(self) -> int:
        """Return the money that is unexplained."""
        return sum(d.residual for d in self.differences if d.kind is Kind.CASH)


def compare(  # noqa: PLR0917 - three witnesses, one reading, one moment
    env: Env,
    executor: ExecutorView,
    drop_copy: DropCopyView,
    listed: ListingView,
    listing: Listing,
    moment: Moment,
) -> Comparison:
    """Return every difference that this reading shows."""
    cutoff_ns = listing.started_ns - moment.settle_ms * _MS
    cutoff_ms = listing.started_ms - moment.settle_ms
    young = _young(executor, drop_copy, listed, cutoff_ms)
    positions = _positions(executor, drop_copy, listed, young, listing, moment)
    words = {
        Name.EXECUTOR: executor.witness(moment.now_ns, cutoff_ns, cutoff_ms),
        Name.DROP_COPY: drop_copy.witness(cutoff_ns, moment.settle_ms, cutoff_ms, listed.orders),
        Name.LISTING: listed.witness(cutoff_ms),
    }
    # What one witness has just seen begin or end, the others may not have heard of yet.
    fresh = executor.young_orders(cutoff_ns) | drop_copy.young_orders(cutoff_ns)
    witnesses = {
        name: word
        if word is SILENT
        else replace(word, unsure=word.unsure | fresh, positions=positions[name], is_whole=False)
        for name, word in words.items()
    }
    times_ms = _fill_times_ms(executor, drop_copy, listed)

    found = diff(witnesses, is_ours=is_ours_in(env), fill_times_ms=times_ms)
    found = tuple(_by_fills(one, positions, listed, young, found) for one in found)
    cash = _cash_proof(executor, listed, listing.balance, cutoff_ms)
    differences = (
        *found,
        *_position_proofs(listed, young, positions[Name.LISTING], found),
        *_settlement_proofs(listed, cutoff_ms, found),
        *(_of_listing(proof, found) for proof in _cash_differences(cash)),
    )
    differing = {difference.key for difference in found if difference.kind is Kind.FILL}
    agreed = {
        key: at_ms
        for key, at_ms in times_ms.items()
        if at_ms < cutoff_ms and f"{key.trade_id}/{key.order_id}" not in differing
    }
    compared = len(listed.orders) + len(agreed) + len(positions[Name.LISTING]) + 1
    return Comparison(differences, agreed, max(0, compared - len(differences)), cash)


def _positions(  # noqa: PLR0917 - see compare
    executor: ExecutorView,
    drop_copy: DropCopyView,
    listed: ListingView,
    young: Sequence[Event],
    listing: Listing,
    moment: Moment,
) -> dict[Name, dict[str, int]]:
    """Return each witness's claims, explained by the young events."""
    executor_says = executor.positions(moment.now_ns)
    drop_copy_says = drop_copy.positions()
    markets = sorted({*listed.markets(), *executor_says, *drop_copy_says})
    final = {market: _final_e2(listed, young, market) for market in markets}
    # Nobody is told of a settlement at the same time; the executor has the recovery time to hear of it, and
    # the feed tells of no settled position at all.
    heard_by_ms = listing.started_ms - moment.recovery_ns // _MS
    settled = listed.settled_ms
    says = {
        Name.EXECUTOR: {m: q for m, q in executor_says.items() if settled.get(m, 0) < heard_by_ms},
        Name.DROP_COPY: {m: q for m, q in drop_copy_says.items() if m not in settled},
        Name.LISTING: {market: listed.positions.get(market, 0) for market in markets},
    }
    return {
        name: explained_positions(claims, markets, listed.old, young, final) for name, claims in says.items()
    }


def _final_e2(listed: ListingView, young: Sequence[Event], market: str) -> int:
    sums = listed.old.of_market(market)
    for event in young:
        if event.market == market:
            sums.apply(event)
    return sums.position_e2(market)


def _young(
    executor: ExecutorView, drop_copy: DropCopyView, listed: ListingView, cutoff_ms: int
) -> list[Event]:
    """Return the young events of all witnesses: any of them may be ahead of the listing."""
    events: dict[FillKey | str, Event] = {
        key: _venue_fill(fill) for key, fill in executor.fills.items() if fill.venue_ms >= cutoff_ms
    }
    events.update({key: fill for key, fill in drop_copy.fills.items() if fill.venue_ms >= cutoff_ms})
    for event in listed.young:
        key = FillKey(event.trade_id, event.order_id) if isinstance(event, VenueFill) else event.market
        events[key] = event
    return in_venue_order(events.values())


def _fill_times_ms(
    executor: ExecutorView, drop_copy: DropCopyView, listed: ListingView
) -> Mapping[FillKey, int]:
    times: dict[FillKey, int] = {key: fill.venue_ms for key, fill in executor.fills.items()}
    times.update({key: fill.venue_ms for key, fill in drop_copy.fills.items()})
    times.update({key: fill.venue_ms for key, fill in listed.fills.items()})
    return times


def _position_proofs(
    listed: ListingView, young: Sequence[Event], says: Mapping[str, int], found: Sequence[Difference]
) -> list[Difference]:
    """Return listed positions that the fills do not make, where no witness has said so already."""
    named = {difference.market for difference in found if difference.kind is Kind.POSITION}
    proofs: list[Difference] = []
    for market, says_e2 in sorted(says.items()):
        final_e2 = _final_e2(listed, young, market)
        if says_e2 != final_e2 and market not in named:
            proof = _proof(Kind.POSITION, market, market, f"fills make {final_e2}", says_e2, final_e2)
            # The key and the size of what another witness may say of it next time: it is one difference.
            proofs.append(_of_listing(replace(proof, residual=abs(proof.residual)), found))
    return proofs


def _settlement_proofs(listed: ListingView, cutoff_ms: int, found: Sequence[Difference]) -> list[Difference]:
    """Return markets whose settled quantity is not the sum of the fills."""
    proofs: list[Difference] = []
    for market, settled_e2 in sorted(listed.settled_e2.items()):
        filled_e2 = listed.old.filled_e2(market)
        if listed.settled_ms[market] < cutoff_ms and settled_e2 != filled_e2:
            key = f"{market}/settlement"
            proof = _proof(Kind.POSITION, market, key, f"fills make {filled_e2}", settled_e2, filled_e2)
            proofs.append(_of_listing(proof, found))
    return proofs


def _by_fills(
    difference: Difference,
    positions: Mapping[Name, Mapping[str, int]],
    listed: ListingView,
    young: Sequence[Event],
    found: Sequence[Difference],
) -> Difference:
    """Return a position on which two differ and the third is silent, with the one that the fills gainsay."""
    market = difference.market
    if difference.kind is not Kind.POSITION or difference.odd_one_out:
        return difference
    liars = _liars(market, found)
    if not liars:
        final_e2 = _final_e2(listed, young, market)
        liars = {name.value for name, says in positions.items() if says.get(market, final_e2) != final_e2}
    elif liars != _LISTING:
        return difference
    return replace(difference, odd_one_out=liars.pop()) if len(liars) == 1 else difference


def _of_listing(proof: Difference, found: Sequence[Difference]) -> Difference:
    """Return the proof with the listing named: fills that no other disputes speak against its quantity."""
    is_alone = _liars(proof.market, found) <= _LISTING
    return replace(proof, odd_one_out=Name.LISTING.value) if is_alone else proof


def _liars(market: str, found: Sequence[Difference]) -> set[str]:
    """Return who stands alone about fills of this market, or of any market for an empty name."""
    return {one.odd_one_out for one in found if one.kind is Kind.FILL and market in ("", one.market)}


def _cash_proof(
    executor: ExecutorView, listed: ListingView, balance: VenueBalance | None, cutoff_ms: int
) -> BalanceProof | None:
    if executor.genesis is None or balance is None:
        return None
    return prove_balance(
        executor.genesis, balance, listed.old, listed.young, listed.opening, listed.fundings, cutoff_ms
    )


def _cash_differences(cash: BalanceProof | None) -> list[Difference]:
    """Return the part of each shard's balance change that nothing on record explains."""
    found: list[Difference] = []
    for shard, residual_e6 in () if cash is None else cash.residuals_e6.items():
        if residual_e6:
            key = "balance" if shard == ALL_SHARDS else f"balance/shard-{shard}"
            change_e6 = cash.changes_e6[shard] if cash is not None else 0
            explained_e6 = change_e6 - residual_e6
            found.append(_proof(Kind.CASH, "", key, f"events make {explained_e6}", change_e6, explained_e6))
    return found


def _proof(  # noqa: PLR0917 - one row of evidence
    kind: Kind, market: str, key: str, text: str, says: int, proven: int
) -> Difference:
    return Difference(kind, market, key, SILENT_TEXT, SILENT_TEXT, f"{says}, {text}", "", says - proven)


def _venue_fill(fill: FillV1) -> VenueFill:
    return VenueFill(
        trade_id=fill.trade_id,
        order_id=fill.order_id,
        client_order_id=fill.client_order_id,
        market=fill.market,
        shard=fill.shard,
        side=fill.side,
        price_e4=fill.price_e4,
        qty_e2=fill.qty_e2,
        fee_e6=fill.fee_e6,
        is_taker=fill.is_taker,
        venue_ms=fill.venue_ms,
    )

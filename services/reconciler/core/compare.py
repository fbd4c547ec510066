"""One comparison: from the three views and one reading to all differences.

The witnesses' words are cut to what is old enough, positions are explained by
the young events, `diff` compares, and three proofs are added that need no second
witness: listed positions against the sum of fills, settled quantities against
the same, and the balance against everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from libs.common.domain.ids import parse_client_order_id
from libs.common.env import Env
from libs.common.kalshi.model import VenueFill
from libs.common.messages.execution import FillV1
from services.reconciler.core.cash import Event, cash_residual_e6, in_venue_order
from services.reconciler.core.diff import SILENT_TEXT, Difference, Kind, diff
from services.reconciler.core.drop_copy_view import DropCopyView
from services.reconciler.core.executor_view import ExecutorView
from services.reconciler.core.listing_view import Listing, ListingView
from services.reconciler.core.settle import explained_positions
from services.reconciler.core.witness import SILENT, FillKey, Name, Resting

_MS = 1_000_000


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
        agreed: Fills that need not be compared again.
        agreed_count: How many things were compared and found equal.
    """

    differences: tuple[Difference, ...]
    agreed: tuple[FillKey, ...]
    agreed_count: int

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

    def is_ours(order: Resting) -> bool:
        identity = parse_client_order_id(order.client_order_id)
        return identity is not None and identity.env == env.value

    found = diff(witnesses, is_ours=is_ours, fill_times_ms=times_ms)
    differences = (
        *found,
        *_position_proofs(listed, young, positions[Name.LISTING], found),
        *_settlement_proofs(listed, cutoff_ms),
        *_cash_proof(executor.genesis_balance_e6, listed, listing.balance.total_e6),
    )
    differing = {difference.key for difference in found if difference.kind is Kind.FILL}
    agreed = tuple(
        key
        for key, at_ms in times_ms.items()
        if at_ms < cutoff_ms and f"{key.trade_id}/{key.order_id}" not in differing
    )
    compared = len(listed.orders) + len(agreed) + len(positions[Name.LISTING]) + 1
    return Comparison(differences, agreed, max(0, compared - len(differences)))


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
            proofs.append(
                _proof(Kind.POSITION, market, f"{market}/fills", f"fills make {final_e2}", says_e2, final_e2)
            )
    return proofs


def _settlement_proofs(listed: ListingView, cutoff_ms: int) -> list[Difference]:
    """Return markets whose settled quantity is not the sum of the fills."""
    proofs: list[Difference] = []
    for market, settled_e2 in sorted(listed.settled_e2.items()):
        filled_e2 = listed.old.filled_e2(market)
        if listed.settled_ms[market] < cutoff_ms and settled_e2 != filled_e2:
            key = f"{market}/settlement"
            proofs.append(
                _proof(Kind.POSITION, market, key, f"fills make {filled_e2}", settled_e2, filled_e2)
            )
    return proofs


def _cash_proof(genesis_e6: int | None, listed: ListingView, balance_e6: int) -> list[Difference]:
    """Return the part of the balance change that fills, fees and settlements do not explain."""
    if genesis_e6 is None:
        return []
    change_e6 = balance_e6 - genesis_e6
    residual_e6 = cash_residual_e6(listed.old, listed.young, change_e6 + listed.opening.cash_e6)
    if not residual_e6:
        return []
    explained_e6 = change_e6 - residual_e6
    return [_proof(Kind.CASH, "", "balance", f"events make {explained_e6}", change_e6, explained_e6)]


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

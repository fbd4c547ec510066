"""The comparison of three witnesses, whatever they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.domain.side import Side
from libs.common.kalshi.model import OwnFill, OwnOrder, VenueFill
from services.reconciler.core.diff import Difference, Kind, diff
from services.reconciler.core.policy import TABLE
from services.reconciler.core.witness import SILENT, FillKey, FillTerms, Name, Resting, Witness
from tests.support.truth_builders import (
    NOW_MS,
    fill_event,
    order_event,
    venue_fill,
    venue_order,
    venue_position,
)
from tests.support.truth_scene import Scene

K = TypeVar("K")
V = TypeVar("V")

KEYS = [f"dora-sim-1-{n}-0-00000000" for n in range(4)] + ["hand-made", "#venue-id"]
FILLS = [FillKey(f"t{n}", f"o{n}") for n in range(4)]
MARKETS = ["A", "B", "C"]
TIMES_MS = dict.fromkeys(FILLS, 1000)

restings = st.builds(
    Resting,
    order_id=st.just("o"),
    client_order_id=st.just(""),
    market=st.sampled_from(MARKETS),
    side=st.sampled_from(Side),
    price_e4=st.integers(1, 3),
    remaining_e2=st.integers(1, 3),
)
fills = st.builds(
    FillTerms,
    market=st.sampled_from(MARKETS),
    side=st.sampled_from(Side),
    price_e4=st.integers(1, 3),
    qty_e2=st.integers(1, 3),
    fee_e6=st.integers(0, 1),
)
witnesses = st.builds(
    Witness,
    orders=st.none() | st.dictionaries(st.sampled_from(KEYS), restings, max_size=5),
    unsure=st.frozensets(st.sampled_from(KEYS), max_size=2),
    moving=st.frozensets(st.sampled_from(KEYS), max_size=2),
    fills=st.none() | st.dictionaries(st.sampled_from(FILLS), fills, max_size=4),
    positions=st.none() | st.dictionaries(st.sampled_from(MARKETS), st.integers(-3, 3), max_size=3),
    is_whole=st.booleans(),
)


def is_ours(order: Resting) -> bool:
    return order.client_order_id.startswith("dora-")


def compare(executor: Witness, drop_copy: Witness, listing: Witness) -> tuple[Difference, ...]:
    said = {Name.EXECUTOR: executor, Name.DROP_COPY: drop_copy, Name.LISTING: listing}
    named = {
        name: replace(
            witness,
            orders=None
            if witness.orders is None
            else {key: replace(order, client_order_id=key) for key, order in witness.orders.items()},
        )
        for name, witness in said.items()
    }
    return diff(named, is_ours=is_ours, fill_times_ms=TIMES_MS)


@given(witnesses)
def test_equal_witnesses_differ_in_nothing_but_foreign_orders(witness: Witness) -> None:
    found = compare(witness, witness, witness)
    assert {difference.kind for difference in found} <= {Kind.FOREIGN_ORDER}


@given(witnesses)
def test_a_witness_alone_contradicts_nobody(witness: Witness) -> None:
    for said in ((witness, SILENT, SILENT), (SILENT, witness, SILENT), (SILENT, SILENT, witness)):
        assert {difference.kind for difference in compare(*said)} <= {Kind.FOREIGN_ORDER}


@given(witnesses, witnesses, witnesses)
def test_comparing_twice_says_the_same_once(first: Witness, second: Witness, third: Witness) -> None:
    found = compare(first, second, third)
    assert found == compare(first, second, third)
    assert len({(d.kind, d.key) for d in found}) == len(found)


@given(witnesses, witnesses, witnesses)
def test_what_differs_is_bounded_by_what_was_mentioned(a: Witness, b: Witness, c: Witness) -> None:
    mentioned = sum(
        len(part or ())
        for witness in (a, b, c)
        for part in (witness.orders, witness.fills, witness.positions)
    )
    assert len(compare(a, b, c)) <= mentioned


@given(witnesses, witnesses)
def test_the_one_that_two_contradict_is_named(agreed: Witness, other: Witness) -> None:
    """Whichever of the three is the liar, a named culprit is that one."""
    for place, liar in enumerate(Name):
        said = [agreed, agreed, agreed]
        said[place] = other
        for difference in compare(said[0], said[1], said[2]):
            if difference.kind is not Kind.FOREIGN_ORDER:
                assert difference.odd_one_out in ("", liar.value)


sure = st.builds(
    Witness,
    orders=st.dictionaries(st.sampled_from(KEYS[:4]), restings, max_size=4),
    fills=st.dictionaries(st.sampled_from(FILLS), fills, max_size=4),
    positions=st.dictionaries(st.sampled_from(MARKETS), st.integers(-3, 3), max_size=3),
)


@given(witnesses, sure)
def test_one_pass_converges(local: Witness, truth: Witness) -> None:
    """Taking over what two others say, for exactly what was found, leaves nothing to find."""
    found = compare(local, truth, truth)
    repaired = local
    for difference in found:
        repaired = taken_over(repaired, truth, difference)
    assert {d.kind for d in compare(repaired, truth, truth)} <= {Kind.FOREIGN_ORDER}


def taken_over(local: Witness, truth: Witness, difference: Difference) -> Witness:
    """Return the local word with the truth's about one thing."""
    key = difference.key
    if difference.kind is Kind.POSITION:
        return replace(local, positions={**(local.positions or {}), key: (truth.positions or {}).get(key, 0)})
    if difference.kind is Kind.FILL:
        trade_id, order_id = key.split("/")
        return replace(local, fills=_put(local.fills, truth.fills, FillKey(trade_id, order_id)))
    return replace(local, orders=_put(local.orders, truth.orders, key))


def _put(local: Mapping[K, V] | None, truth: Mapping[K, V] | None, key: K) -> dict[K, V]:
    kept = {name: value for name, value in (local or {}).items() if name != key}
    return kept | ({key: truth[key]} if truth and key in truth else {})


ORDERS = st.dictionaries(st.integers(1, 4), st.sampled_from([4_000, 4_100]), max_size=4)
TRADES = st.dictionaries(st.integers(1, 3), st.integers(1, 3), max_size=3)


@settings(max_examples=300, deadline=None)
@given(ORDERS, ORDERS, ORDERS, TRADES, TRADES, TRADES, st.integers(-1, 1))
def test_whatever_is_said_it_ends_in_agreement_or_in_a_named_conflict(  # noqa: PLR0917 - three witnesses
    executor: dict[int, int],
    feed: dict[int, int],
    listed: dict[int, int],
    executor_trades: dict[int, int],
    feed_trades: dict[int, int],
    listed_trades: dict[int, int],
    off_e6: int,
) -> None:
    """Once nobody says anything new, `2 * confirm_cycles` comparisons leave nothing undecided."""
    scene = Scene()
    scene.feed_hears = False
    for trade, qty in executor_trades.items():
        scene.core.on_fill(fill_event(_fill(trade, qty)))
    for number, price_e4 in executor.items():
        scene.core.on_order(order_event(number, price_e4=price_e4), 10 + number, scene.now)
    for number, price_e4 in feed.items():
        scene.core.on_feed(OwnOrder(venue_order(number, price_e4=price_e4)), scene.now)
    for trade, qty in feed_trades.items():
        scene.core.on_feed(OwnFill(_fill(trade, qty)), scene.now)
    fills = tuple(_fill(trade, qty) for trade, qty in listed_trades.items())
    held_e2 = sum(fill.qty_e2 for fill in fills)
    parts = {
        "orders": tuple(venue_order(number, price_e4=price) for number, price in listed.items()),
        "fills": fills,
        "positions": (venue_position(held_e2),) if held_e2 else (),
        "balance_e6": 1_000_000_000 - 4_000 * held_e2 + off_e6,
    }
    for _ in range(8):
        result = scene.cycle(**parts)
    assert not [text for text in result.errors if text.startswith("settling")]
    assert scene.is_open() is not any(
        TABLE[Kind(drift.kind)].closes_permit and drift.odd_one_out != "drop_copy" for drift in result.drifts
    )
    assert {drift.odd_one_out for drift in result.drifts} <= {"", *Name}
    if executor == feed == listed and executor_trades == feed_trades == listed_trades and not off_e6:
        assert not result.drifts
    if off_e6:
        assert "cash" in {drift.kind for drift in result.drifts}


def _fill(trade: int, qty: int) -> VenueFill:
    return venue_fill(f"t{trade}", order_id=f"o{trade}", qty_e2=qty, venue_ms=NOW_MS - 20_000)

"""The comparison of three witnesses, whatever they say."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.side import Side
from services.reconciler.core.diff import Difference, Kind, diff
from services.reconciler.core.witness import SILENT, FillKey, FillTerms, Name, Resting, Witness

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


@given(witnesses, witnesses)
def test_one_pass_converges(truth: Witness, local: Witness) -> None:
    """Taking over what the others say leaves nothing to find."""
    compare(local, truth, truth)
    assert {d.kind for d in compare(truth, truth, truth)} <= {Kind.FOREIGN_ORDER}

from hypothesis import given
from hypothesis import strategies as st

from libs.common.domain.units import format_price, format_qty
from libs.common.kalshi.outcome import Answer, Meant, batch_outcomes, order_outcome
from libs.common.kalshi.wire_text import MalformedWire, cash_e6, price_e4, qty_e2, time_ms


@given(st.integers(0, 10_000))
def test_prices_survive_their_way_over_the_wire(price: int) -> None:
    assert price_e4(format_price(price)) == price


@given(st.integers(-(10**12), 10**12))
def test_counts_survive_their_way_over_the_wire(qty: int) -> None:
    assert qty_e2(format_qty(qty)) == qty


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_malformed_and_nothing_else(text: str) -> None:
    for read in (price_e4, qty_e2, cash_e6, time_ms):
        try:
            read(text)
        except MalformedWire:
            continue


@given(st.integers(100, 599), st.binary(max_size=300))
def test_any_answer_has_an_outcome(status: int, body: bytes) -> None:
    order_outcome(Answer(status, body), Meant(client_order_id="c"))
    assert len(batch_outcomes(Answer(status, body), [Meant("a"), Meant("b")], is_cancel=True)) == 2

"""The gate opens only with every proof, and no passing of time alone ever opens it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.executor_builders import a_desk

S = 1_000_000_000
ages = st.integers(0, 6 * S)


@settings(max_examples=40)
@given(permit=ages, renewal=ages, echo=ages)
def test_gate_is_open_exactly_while_every_proof_is_young(permit: int, renewal: int, echo: int) -> None:
    desk = a_desk()
    gate = desk.engine.account.gate
    now_ns = desk.now.ns + permit
    gate.renewed_ns = now_ns - renewal
    is_open = not gate.account_reasons(now_ns, echo)
    assert is_open == (permit <= 2 * S and renewal < 3 * S and echo <= S + S // 2)


@settings(max_examples=40)
@given(steps=st.lists(ages, min_size=1, max_size=5), echo=ages)
def test_time_alone_never_opens_a_closed_gate(steps: list[int], echo: int) -> None:
    desk = a_desk()
    gate = desk.engine.account.gate
    now_ns, was_closed = desk.now.ns, False
    for step in steps:
        now_ns += step
        closed = bool(gate.account_reasons(now_ns, echo))
        assert closed or not was_closed
        was_closed = closed

from hypothesis import given
from hypothesis import strategies as st

from libs.common.kalshi.model import Bucket
from libs.common.kalshi.token_bucket import TokenBucket

S = 1_000_000_000
STEPS = st.lists(
    st.tuples(
        st.integers(0, 3 * S),
        st.integers(0, 60),
        st.sampled_from(["create", "cancel", "hit", "ok"]),
    ),
    max_size=60,
)


@given(
    rate=st.integers(1, 10_000),
    capacity=st.integers(60, 30_000),
    reserve=st.integers(0, 40),
    steps=STEPS,
)
def test_no_window_ever_spends_more_than_capacity_and_refill(
    rate: int, capacity: int, reserve: int, steps: list[tuple[int, int, str]]
) -> None:
    bucket = TokenBucket(Bucket(rate, capacity), 0, reserve)
    now_ns, spent = 0, [(0, 0)]
    for gap_ns, cost, what in steps:
        now_ns += gap_ns
        if what == "hit":
            bucket.empty(now_ns)
        elif what == "ok":
            bucket.recover()
        elif cost <= (capacity if what == "cancel" else capacity - reserve):
            before = bucket.tokens(now_ns)
            if bucket.acquire(cost, now_ns, is_reserved=what == "cancel") == 0:
                spent.append((now_ns, cost))
                assert before - cost >= (0 if what == "cancel" else reserve)
    for first, (start_ns, _) in enumerate(spent):
        for last in range(first, len(spent)):
            window_ns = spent[last][0] - start_ns
            total = sum(cost for _, cost in spent[first : last + 1])
            assert total * S <= capacity * S + rate * window_ns
            if first == 0:
                assert total * S <= rate * window_ns


@given(
    rate=st.integers(1, 10_000),
    capacity=st.integers(1, 30_000),
    cost=st.integers(0, 30_000),
    hits=st.integers(0, 9),
)
def test_the_wait_told_is_enough_and_nearly_the_least(rate: int, capacity: int, cost: int, hits: int) -> None:
    bucket = TokenBucket(Bucket(rate, capacity), 0)
    for _ in range(hits):
        bucket.empty(0)
    cost = min(cost, capacity)

    wait_ns = bucket.acquire(cost, 0)

    if wait_ns > 1:
        assert bucket.acquire(cost, wait_ns - 1) > 0
    assert bucket.acquire(cost, wait_ns) == 0

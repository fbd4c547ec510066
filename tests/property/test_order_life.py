"""Any evidence in any order, repeated at will: counts never fall, ends stay ends, doubt needs proof."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from libs.common.messages.execution import OrderState
from services.executor.core.order_life import TERMINAL, Evidence
from services.executor.core.orders import OwnOrders
from tests.support.executor_builders import an_order

_VENUE_SAYS_IT_LIVES = {
    Evidence.LISTED_RESTING,
    Evidence.SEEN_RESTING,
    Evidence.ACCEPTED_RESTING,
    Evidence.FILLED,
}
_PROOF = {
    Evidence.SEEN_EXECUTED,
    Evidence.SEEN_CANCELLED,
    Evidence.SEEN_RESTING,
    Evidence.LISTED_RESTING,
    Evidence.FILLED,
    Evidence.FILLED_WHOLE,
    Evidence.ACCEPTED_RESTING,
    Evidence.ACCEPTED_FILLED,
    Evidence.ACCEPTED_KILLED,
    Evidence.AMEND_ACCEPTED,
    Evidence.CANCEL_ACCEPTED,
    Evidence.ABSENT,
}


class OrderAgainstItsHistory(RuleBasedStateMachine):
    """One order, and a list of everything it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.orders = OwnOrders()
        self.order = an_order(state=OrderState.PLANNED, order_id="")
        self.orders.add(self.order)
        self.filled_max = 0
        self.now_ns = 0

    @rule(evidence=st.sampled_from(Evidence), filled_e2=st.none() | st.integers(0, 500))
    def hear(self, evidence: Evidence, filled_e2: int | None) -> None:
        before, version = self.order.state, self.order.version
        self.now_ns += 1
        changed = self.orders.apply(self.order, evidence, self.now_ns, filled_e2=filled_e2)
        self.filled_max = max(self.filled_max, filled_e2 or 0)
        after = self.order.state
        assert changed == (self.order.version > version)
        if before in TERMINAL and after not in TERMINAL:
            assert evidence in _VENUE_SAYS_IT_LIVES
        if before is OrderState.UNKNOWN and after is not OrderState.UNKNOWN:
            assert evidence in _PROOF

    @invariant()
    def filled_count_is_the_largest_ever_told(self) -> None:
        assert self.order.filled_e2 == self.filled_max

    @invariant()
    def worst_case_covers_what_may_fill(self) -> None:
        opened = sum(one.qty_e2 for one in self.orders.opened(self.order.market))
        assert opened >= self.order.remaining_e2
        assert opened >= self.order.filled_e2 - self.order.booked_e2

    @invariant()
    def same_word_twice_changes_nothing(self) -> None:
        version = self.order.version
        if version:
            self.orders.apply(self.order, Evidence.SEEN_RESTING, self.now_ns)
            again = self.order.version
            self.orders.apply(self.order, Evidence.SEEN_RESTING, self.now_ns)
            assert self.order.version == again


TestOrderLife = OrderAgainstItsHistory.TestCase
TestOrderLife.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

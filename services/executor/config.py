"""Configuration of the executor. The limits and the group's size have no default: zero means zero."""

from __future__ import annotations

from typing import Annotated

import msgspec

from libs.common.control.settings import Control
from libs.common.risk.limits import RiskLimits
from libs.common.runtime.config import Common, Seconds, Venue
from services.executor.core.confirmation import ConfirmTerms
from services.executor.core.epoch import EpochTimes
from services.executor.core.flatten import FlattenRules
from services.executor.core.fuse import limit_of_budget_e2
from services.executor.core.gate import GateLimits
from services.executor.core.planner import PlanRules, ReplaceWith
from services.executor.core.quoting import ExecutionMode

_S = 1_000_000_000
Whole = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(gt=0)]


class Planning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[planning]``."""

    execution_mode: ExecutionMode = ExecutionMode.BATCH
    replace_with: ReplaceWith = ReplaceWith.AMEND
    hysteresis_ticks: Whole = 1
    hysteresis_e2: Whole = 0
    amend_clear_ticks: Whole = 1
    batch_items: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    batches_max: Annotated[int, msgspec.Meta(ge=1, le=64)] = 4
    order_life_s: Annotated[int, msgspec.Meta(ge=30, le=120)] = 60
    """How long a quote lives at the venue without being renewed (design rule 4)."""
    renew_before_s: Annotated[int, msgspec.Meta(ge=1, le=60)] = 20
    intent_age_ms_max: Positive = 500
    priority: dict[str, int] = msgspec.field(default_factory=dict)
    """Markets with a higher number get the tokens first."""
    place_value_e4: Whole = 10
    """Worth of one contract fewer before us, for each contract of place that a move gives up; in 1/10,000
    dollar. 0 leaves the queue out of it: then hysteresis alone decides."""
    token_price_e6: Whole = 100
    """Worth of a token of the write budget, in millionths of a dollar."""
    batch_moves_min: Whole = 3
    """So many prices that move in one pass go as batched cancels and creates; fewer are amended; 0 never."""
    queue_read_s: Seconds = 5.0
    """How often the venue is asked for our places in the queues."""
    backoff_max_s: Seconds = 30.0
    """Longest time that refusals for rate keep creates away."""

    def rules(self) -> PlanRules:
        """Return what the planner needs."""
        return PlanRules(
            hysteresis_ticks=self.hysteresis_ticks,
            hysteresis_e2=self.hysteresis_e2,
            replace_with=self.replace_with,
            amend_clear_ticks=self.amend_clear_ticks,
            renew_ms=self.renew_before_s * 1_000,
            life_ms=self.order_life_s * 1_000,
            place_value_e4=self.place_value_e4,
            token_price_e6=self.token_price_e6,
            batch_moves_min=self.batch_moves_min,
        )


class Epoch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[epoch]``: the lease protocol; the proportions matter more than the numbers."""

    lease_s: Seconds = 15.0
    renew_s: Seconds = 1.0
    no_risk_s: Seconds = 3.0
    cancel_all_s: Seconds = 5.0

    def __post_init__(self) -> None:
        if not self.renew_s < self.no_risk_s <= self.cancel_all_s <= self.lease_s:
            # An old leader must have stopped before a new one may begin.
            raise ValueError("expected renew_s < no_risk_s <= cancel_all_s <= lease_s")

    def times(self) -> EpochTimes:
        """Return the protocol's durations."""
        return EpochTimes(
            int(self.lease_s * _S),
            int(self.renew_s * _S),
            int(self.no_risk_s * _S),
            int(self.cancel_all_s * _S),
        )


class Gating(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[gate]``: longest ages at which a proof still counts."""

    permit_age_s: Annotated[float, msgspec.Meta(gt=0, le=2)] = 2.0
    echo_age_s: Annotated[float, msgspec.Meta(gt=0)] = 1.5
    book_age_ms: Positive = 2_000
    closed_cancel_s: Seconds = 5.0
    """A gate closed for so long withdraws what rests."""

    def limits(self, times: EpochTimes) -> GateLimits:
        """Return what the gate needs."""
        return GateLimits(
            renew_age_ns=times.no_risk_ns,
            permit_age_ns=int(self.permit_age_s * _S),
            echo_age_ns=int(self.echo_age_s * _S),
            book_age_ms=self.book_age_ms,
        )


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[evidence]``: how unknown outcomes are settled and how often all is compared."""

    read_lag_s: Seconds = 1.0
    look_s: Seconds = 0.5
    misses_max: Positive = 5
    absent_after_s: Seconds = 10.0
    compare_s: Seconds = 5.0
    clean_reads: Positive = 3
    clean_gap_s: Seconds = 0.25


class Fuse(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How large a group's limit is: said outright, or what a loss budget leaves (`core/fuse.py`)."""

    limit_e2: Positive | None = None
    """Contracts (E2) that may match within 15 s on one shard before the venue pulls everything."""
    loss_budget_e6: Positive | None = None
    """What one burst on one shard may cost; with it the two below, in place of the limit."""
    adverse_move_e4: Annotated[int, msgspec.Meta(gt=0, le=10_000)] | None = None
    """How far the fair value may be from our price when we are taken, per contract."""
    sweep_e2: Positive | None = None
    """Most that rests on one side of one market: one incoming order takes it before anything is pulled."""

    def __post_init__(self) -> None:
        budget = (self.loss_budget_e6, self.adverse_move_e4, self.sweep_e2)
        is_budget = None not in budget
        if (self.limit_e2 is None) is not is_budget or (not is_budget and budget != (None, None, None)):
            raise ValueError("expected either limit_e2 or loss_budget_e6, adverse_move_e4 and sweep_e2")
        if self.size_e2() < 1:
            raise ValueError(
                "expected loss_budget_e6 // adverse_move_e4 above sweep_e2: the budget pays no sweep"
            )

    def size_e2(self) -> int:
        """Return the limit that a group is made with."""
        if self.limit_e2 is not None:
            return self.limit_e2
        assert self.loss_budget_e6 is not None, self
        assert self.adverse_move_e4 is not None, self
        assert self.sweep_e2 is not None, self
        return limit_of_budget_e2(self.loss_budget_e6, self.adverse_move_e4, self.sweep_e2)


class Groups(Fuse, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[groups]``: the fuse at the venue."""

    rest_s: Annotated[float, msgspec.Meta(ge=0)] = 15.0
    """No new group for so long after the venue's fuse blew: a new one counts from zero, so anything
    shorter than the venue's window of 15 s would let one burst cost more than its budget."""
    shards: dict[str, Fuse] = msgspec.field(default_factory=dict)
    """Shards whose fuse differs, by their number."""

    def limit_of(self, shard: int) -> int:
        """Return the limit of a shard's groups."""
        return self.shards.get(str(shard), self).size_e2()

    def fuses(self) -> tuple[Fuse, ...]:
        """Return every fuse that is configured."""
        return (self, *self.shards.values())


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[confirmation]``: exits and manual orders; how long to wait is each request's own."""

    acceptable_e4: Annotated[int, msgspec.Meta(gt=0, le=10_000)] = 8_000
    """Share of the quantity, ten-thousandths, from which a partial fill is acceptable (D-008)."""
    verify_s: Seconds = 10.0
    """How long after the wait an order's end may take to be known."""
    book_s: Seconds = 3.0
    """How long fills that were told may take to be booked before the answer is given without them."""

    def terms(self) -> ConfirmTerms:
        """Return what the confirmation core needs."""
        return ConfirmTerms(
            acceptable_e4=self.acceptable_e4,
            verify_ns=int(self.verify_s * _S),
            book_ns=int(self.book_s * _S),
        )


class Flatten(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[flatten]``: opt-in; without it only a dry run is answered, and it finds nothing to spend."""

    is_enabled: bool = False
    collar_e4: Whole = 0
    """How far from the middle of the touch an exit may trade, ten-thousandths of a dollar."""
    cost_e6_max: Whole = 0
    """What one run may cost in all, distance to the middle plus fees, millionths of a dollar."""
    slice_e2_max: Whole = 0
    """Largest single exit, hundredths of a contract."""
    exit_wait_s: Seconds = 5.0

    def rules(self) -> FlattenRules:
        """Return what the flattening core needs."""
        return FlattenRules(
            is_enabled=self.is_enabled,
            collar_e4=self.collar_e4,
            cost_e6_max=self.cost_e6_max,
            slice_e2_max=self.slice_e2_max,
            exit_wait_s=self.exit_wait_s,
        )


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration."""

    common: Common = Common()
    venue: Venue = Venue()
    limits: RiskLimits
    groups: Groups
    planning: Planning = Planning()
    epoch: Epoch = Epoch()
    gate: Gating = Gating()
    evidence: Evidence = Evidence()
    confirmation: Confirmation = Confirmation()
    flatten: Flatten = Flatten()
    control: Control = Control()

    def __post_init__(self) -> None:
        self.control.check(self.common.env)
        for name in ("rest_url", "ws_url", "key_id", "key_file"):
            if not getattr(self.venue, name):
                raise ValueError(f"expected venue.{name}, was empty")
        if self.flatten.is_enabled:
            _check_flatten(self.flatten, self.limits)
        for fuse in self.groups.fuses():
            if fuse.sweep_e2 is not None and fuse.sweep_e2 < self.limits.order_qty_e2_max:
                raise ValueError("expected groups.sweep_e2 of at least limits.order_qty_e2_max")


def _check_flatten(flatten: Flatten, limits: RiskLimits) -> None:
    # What the rules would refuse anyway is refused here, at the start and not in the emergency.
    for name in ("collar_e4", "cost_e6_max", "slice_e2_max"):
        if not getattr(flatten, name):
            raise ValueError(f"expected flatten.{name} above 0 where it is enabled, was 0")
    if flatten.collar_e4 > limits.price_collar_e4_max:
        raise ValueError("expected flatten.collar_e4 of at most limits.price_collar_e4_max")
    if flatten.slice_e2_max > limits.order_qty_e2_max:
        raise ValueError("expected flatten.slice_e2_max of at most limits.order_qty_e2_max")

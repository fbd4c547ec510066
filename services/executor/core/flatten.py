"""Close every position within a collar and a cost cap: what to do next, and what it came to.

Never automatic: somebody asks, by name. Rules of the file:

* First everything of ours is cancelled and the venue's listing has come back empty; until the
  end nothing that opens risk may leave (`Gate.is_flattening`).
* Then market by market, the largest first, one immediate-or-cancel, reduce-only exit after the
  other. Its limit is the collar's edge around a fresh reference, and around the one at which
  its market began: our own sales must not walk the collar down.
* Cost is the distance to the reference plus fees. Before a slice its worst case must fit into
  what is left of the cap; a smaller slice is taken where only that fits; then it ends.
* What is left is told, market by market, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from libs.common.domain.fees import PRECISION_E6, FeeTerms, model_fee_e6
from libs.common.domain.grid import PriceGrid
from libs.common.domain.side import Side
from libs.common.domain.units import CONTRACT_E2, DOLLAR_E4
from libs.common.messages.execution import Purpose
from libs.common.messages.orders import (
    ConfirmationV1,
    ConfirmStatus,
    FlattenAskV1,
    FlattenLeftV1,
    FlattenReportV1,
    FlattenSliceV1,
    PlaceAskV1,
)
from libs.common.risk.rules.price_collar import reference_e4
from services.executor.core.account import Account, Now
from services.executor.core.exits import STRATEGY

_S = 1_000_000_000
_CLEAN_READS = 2
_DEAREST = FeeTerms("unknown", 10_000)
CAP = "cost cap"
REQUEST_ID_MAX = 40
"""Exits carry the request's id with a number behind it."""


@dataclass(frozen=True, slots=True)
class FlattenRules:
    """What a flattening may do; nothing by default.

    Attributes:
        collar_e4: How far from the reference an exit may trade.
        cost_e6_max: What one run may cost in all.
        slice_e2_max: Largest single exit.
        exit_wait_s: How long one exit is waited for.
        verify_s: How long the empty listing may take.
        run_s_max: After so long no further exit is begun: the bus lets an answer take five minutes.
    """

    is_enabled: bool = False
    collar_e4: int = 0
    cost_e6_max: int = 0
    slice_e2_max: int = 0
    exit_wait_s: float = 5.0
    verify_s: float = 15.0
    run_s_max: float = 240.0


@dataclass(frozen=True, slots=True)
class Holding:
    """One position and the market that it would be closed in.

    Attributes:
        closed: Why no exit may leave for it now; empty is open.
        fee: None while unknown: then the dearest terms are taken.
    """

    market: str
    qty_e2: int
    bid_e4: int | None
    ask_e4: int | None
    grid: PriceGrid | None
    fee: FeeTerms | None = None
    closed: tuple[str, ...] = ()

    @property
    def value_e6(self) -> float:
        """Return what the position is worth at the middle of its touch; a cent a contract without one."""
        mid = reference_e4(self.bid_e4, self.ask_e4)
        if mid is None:
            return abs(self.qty_e2) * CONTRACT_E2
        return abs(self.qty_e2) * (mid if self.qty_e2 > 0 else DOLLAR_E4 - mid)


def holdings(account: Account, now: Now) -> list[Holding]:
    """Return every open position as it could be closed now."""
    found = []
    gate = account.gate
    for market in account.positions.open_markets:
        top, status = gate.top(market), account.status.get(market)
        found.append(
            Holding(
                market,
                account.positions.qty_e2(market),
                top.bid_e4 if top is not None else None,
                top.ask_e4 if top is not None else None,
                account.grid_of(market),
                FeeTerms(status.fee.fee_type, status.fee.multiplier_e4) if status is not None else None,
                tuple(gate.market_reasons(market, now.ms, exit=True, strategy=STRATEGY)),
            )
        )
    return found


def refusals(
    ask: FlattenAskV1, rules: FlattenRules, account: Account, now: Now, earlier: Collection[str] = ()
) -> tuple[str, ...]:
    """Return every reason why nothing may be done; a dry run is told them too.

    ``earlier`` are the requests of earlier processes: a run that died half-way is not walked again
    under its id, because its exits would be answered with what they came to then.
    """
    reasons = []
    if f"ask-{ask.request_id}-1" in earlier:
        reasons.append("request_id: used by an earlier process; ask anew for what is left")
    if ask.account != account.name:
        reasons.append(f"account: expected {account.name}, was {ask.account!r}")
    if not ask.by or not ask.reason:
        reasons.append("by and reason: who asks and why, both")
    if not 0 < len(ask.request_id) <= REQUEST_ID_MAX:
        reasons.append(f"request_id: 1 to {REQUEST_ID_MAX} characters")
    if not rules.is_enabled:
        reasons.append("not enabled: [flatten] is_enabled in the executor's configuration")
    if account.gate.is_flattening:
        reasons.append("another flattening is under way")
    reasons.extend(f"gate: {reason}" for reason in account.gate.exit_reasons(now.ns, now.echo_age_ns))
    return tuple(reasons)


def plan_slice(
    holding: Holding, rules: FlattenRules, left_e6: int, anchor_e4: float | None = None
) -> FlattenSliceV1 | str:
    """Return the next exit of a position, or why there is none.

    Args:
        holding: The position now.
        rules: Collar and sizes.
        left_e6: What is left of the cost cap.
        anchor_e4: The reference at which this market began, None for the first slice.
    """
    reference = reference_e4(holding.bid_e4, holding.ask_e4)
    side = Side.ASK if holding.qty_e2 > 0 else Side.BID
    touch = holding.bid_e4 if side is Side.ASK else holding.ask_e4
    if holding.closed:
        return f"gate: {', '.join(holding.closed)}"
    if reference is None or touch is None or holding.grid is None:
        return "nobody to trade with" if holding.grid is not None else "no price grid"
    anchor = reference if anchor_e4 is None else anchor_e4
    # The dearer of the two for us: what our own trading did to the price is part of the cost.
    strict = max(reference, anchor) if side is Side.ASK else min(reference, anchor)
    if side is Side.ASK:
        limit = holding.grid.ceil_to_tick(strict - rules.collar_e4)
    else:
        limit = holding.grid.floor_to_tick(strict + rules.collar_e4)
    if limit is None or (limit - touch) * side.sign < 0:
        return f"the touch at {touch} is beyond the collar"
    fee = holding.fee or _DEAREST

    def worst_e6(qty_e2: int) -> int:
        return _distance_e6(strict, limit, qty_e2) + _fee_e6(fee, limit, touch, qty_e2)

    qty_e2 = _affordable(min(abs(holding.qty_e2), rules.slice_e2_max), left_e6, worst_e6)
    if qty_e2 <= 0:
        return CAP
    return FlattenSliceV1(
        market=holding.market,
        side=side,
        price_e4=limit,
        qty_e2=qty_e2,
        reference_e4=strict,
        expected_e6=_distance_e6(strict, touch, qty_e2) + _fee_e6(fee, touch, touch, qty_e2),
        worst_e6=worst_e6(qty_e2),
    )


def _affordable(wanted_e2: int, left_e6: int, worst_e6: Callable[[int], int]) -> int:
    """Return the largest quantity whose worst case fits: whole contracts, or all that is wanted."""
    if wanted_e2 <= 0 or left_e6 <= 0:
        return 0
    if worst_e6(wanted_e2) <= left_e6:
        return wanted_e2
    low, high = 0, wanted_e2 // CONTRACT_E2
    while low < high:
        middle = (low + high + 1) // 2
        if worst_e6(middle * CONTRACT_E2) <= left_e6:
            low = middle
        else:
            high = middle - 1
    return low * CONTRACT_E2


def _distance_e6(reference: float, price_e4: int, qty_e2: int) -> int:
    return math.ceil(abs(reference - price_e4) * qty_e2)


def _fee_e6(fee: FeeTerms, one_e4: int, other_e4: int, qty_e2: int) -> int:
    """Return the most that the fee can be at prices between the two, balance rounding included."""
    low, high = min(one_e4, other_e4), max(one_e4, other_e4)
    dearest = min(max(low, DOLLAR_E4 // 2), high)
    return model_fee_e6(fee, dearest, qty_e2, is_taker=True) + PRECISION_E6


@dataclass(slots=True)
class FlattenRun:
    """One flattening from the first cancel to the report.

    Attributes:
        cost_e6: What it has cost so far, each slice at least 0.
        gave_up: Markets that are left as they are, and why.
        stopped: Why nothing more will be tried.
    """

    ask: FlattenAskV1
    rules: FlattenRules
    account: str
    began_ns: int
    cost_e6: int = 0
    cancelled: int = 0
    is_verified: bool = False
    stopped: str = ""
    slices: list[FlattenSliceV1] = field(default_factory=list)
    gave_up: dict[str, str] = field(default_factory=dict)
    _anchors: dict[str, float] = field(default_factory=dict)
    _market: str = ""
    _clean: int = 0
    _left_after: list[Holding] | None = None

    def on_listing(self, ours: int, *, is_quiet: bool, now_ns: int) -> bool:
        """Take a listing with so many orders of ours and return whether to look again.

        Args:
            ours: Orders of ours that it shows.
            is_quiet: Whether we know of no live order and of no request without answer.
            now_ns: For the time that all this may take.
        """
        self._clean = self._clean + 1 if not ours and is_quiet else 0
        self.is_verified = self._clean >= _CLEAN_READS
        if not self.is_verified and now_ns - self.began_ns > int(self.rules.verify_s * _S):
            shown = f"{max(ours, 0)} orders shown, or requests without answer"
            self.stopped = f"no empty listing within {self.rules.verify_s:g} s: {shown}"
        return not self.is_verified and not self.stopped

    def next(self, found: Sequence[Holding], now_ns: int) -> FlattenSliceV1 | None:
        """Return the next exit to make, None when there is nothing more to try."""
        if now_ns - self.began_ns > int(self.rules.run_s_max * _S):
            self.stopped = self.stopped or f"out of time after {self.rules.run_s_max:g} s"
        open_now = {one.market: one for one in found if one.qty_e2}
        while not self.stopped:
            holding = self._choose(open_now)
            if holding is None:
                return None
            planned = plan_slice(
                holding, self.rules, self.rules.cost_e6_max - self.cost_e6, self._anchors.get(holding.market)
            )
            if isinstance(planned, FlattenSliceV1):
                self._anchors.setdefault(holding.market, planned.reference_e4)
                return planned
            if planned == CAP:
                self.stopped = f"{CAP} of {self.rules.cost_e6_max} reached at {self.cost_e6}"
                return None
            self.gave_up[holding.market] = planned
        return None

    def place(self, planned: FlattenSliceV1) -> PlaceAskV1:
        """Return the order that makes a planned exit."""
        return PlaceAskV1(
            request_id=f"{self.ask.request_id}-{len(self.slices) + 1}",
            account=self.account,
            market=planned.market,
            side=planned.side,
            price_e4=planned.price_e4,
            qty_e2=planned.qty_e2,
            mode=Purpose.EXIT,
            max_wait_s=self.rules.exit_wait_s,
            by=self.ask.by,
            reason=f"flatten: {self.ask.reason}",
        )

    def on_confirmed(self, planned: FlattenSliceV1, told: ConfirmationV1) -> None:
        """Take what an exit came to."""
        done_e2 = told.booked_e2
        worth_e6 = planned.reference_e4 * done_e2
        distance_e6 = math.ceil((told.paid_e6 - worth_e6) * planned.side.sign)
        cost_e6 = max(0, distance_e6 + told.fees_e6) if done_e2 else 0
        is_open = told.status is ConfirmStatus.UNKNOWN
        # What may have traded without our knowing its price is counted at its worst.
        unseen_e2 = (planned.qty_e2 if is_open else told.filled_e2) - done_e2
        if unseen_e2 > 0:
            cost_e6 += -(-planned.worst_e6 * unseen_e2 // planned.qty_e2)
        self.cost_e6 += cost_e6
        self.slices.append(msgspec.structs.replace(planned, confirmation=told, cost_e6=cost_e6))
        if told.filled_e2 < planned.qty_e2 or unseen_e2 > 0:
            self.gave_up[planned.market] = f"{told.status.value}: {told.error_message}"

    def rehearse(self, found: Iterable[Holding]) -> None:
        """Walk through what a run would do if every exit filled at the touch."""
        now = {one.market: one for one in found}
        while (planned := self.next(list(now.values()), self.began_ns)) is not None:
            self.cost_e6 += planned.expected_e6
            self.slices.append(msgspec.structs.replace(planned, cost_e6=planned.expected_e6))
            holding = now[planned.market]
            now[planned.market] = replace(holding, qty_e2=holding.qty_e2 + planned.side.sign * planned.qty_e2)
        self._left_after = [one for one in now.values() if one.qty_e2]

    def report(self, found: Iterable[Holding], now_ns: int, refused: tuple[str, ...] = ()) -> FlattenReportV1:
        """Return what was done, or would be, and what is left."""
        remaining = self._left_after if self._left_after is not None else [one for one in found if one.qty_e2]
        left = tuple(
            FlattenLeftV1(
                market=one.market,
                qty_e2=one.qty_e2,
                reason=self.gave_up.get(one.market) or self.stopped or ", ".join(refused) or "not tried",
            )
            for one in sorted(remaining, key=lambda one: (-one.value_e6, one.market))
        )
        return FlattenReportV1(
            request_id=self.ask.request_id,
            account=self.account,
            is_dry_run=self.ask.is_dry_run,
            is_flat=not left,
            refused=refused,
            stopped=self.stopped,
            cancelled=self.cancelled,
            is_verified=self.is_verified,
            slices=tuple(self.slices),
            left=left,
            cost_e6=self.cost_e6,
            cost_e6_max=self.rules.cost_e6_max,
            collar_e4=self.rules.collar_e4,
            took_ms=(now_ns - self.began_ns) // 1_000_000,
        )

    def _choose(self, open_now: Mapping[str, Holding]) -> Holding | None:
        # Market by market: the one begun is finished before the next largest is touched.
        current = open_now.get(self._market)
        if current is not None and self._market not in self.gave_up:
            return current
        left = [one for one in open_now.values() if one.market not in self.gave_up]
        if not left:
            return None
        chosen = min(left, key=lambda one: (-one.value_e6, one.market))
        self._market = chosen.market
        return chosen

"""Look at everything once: holdings, worst cases, the day's result, silences, and what fires."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from libs.common.messages.control import PermitV1
from services.riskguard.core.account import Account, Result
from services.riskguard.core.areas import Areas
from services.riskguard.core.emergency import Leader
from services.riskguard.core.exposure import Exposures, exposures
from services.riskguard.core.limits import Limits
from services.riskguard.core.marks import Marks
from services.riskguard.core.resume import Consequences, MarketConsequence
from services.riskguard.core.triggers.base import Fired, View, evaluate
from services.riskguard.core.triggers.registry import TRIGGERS

_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Patience:
    """The timing of `config.Timing`, in the core's units."""

    listing_ns: int
    listing_fresh_ns: int
    recon_silence_ns: int
    book_stale_ms: int
    executor_silence_ns: int


@dataclass(frozen=True, slots=True)
class Standing:
    """One evaluation."""

    view: View = field(default_factory=View)
    result: Result = field(default_factory=Result)
    exposures: Exposures = field(default_factory=Exposures)
    fired: tuple[Fired, ...] = ()


def judge(  # noqa: PLR0917 - all that there is to look at
    account: Account,
    areas: Areas,
    leader: Leader,
    recon: tuple[PermitV1, int] | None,
    limits: Limits,
    patience: Patience,
    now_ns: int,
    now_ms: int,
    *,
    is_remembered: bool,
) -> Standing:
    """Return how the account stands now.

    Args:
        account: Our own reading.
        areas: What the areas gathered.
        leader: The executor's heartbeat.
        recon: The reconciler's newest permit and its arrival, None if never heard.
        limits: What it may cost.
        patience: How long silences may last.
        now_ns: Monotonic.
        now_ms: Wall clock, compared with the exchange's stamps.
        is_remembered: What a restart must not forget has been read.
    """
    holdings = account.holdings()
    worst = exposures(holdings)
    # A day of which the half is known has no result yet; the permit is closed meanwhile.
    is_known = is_remembered and account.read_ns is not None
    result = account.result(now_ns) if is_known else Result()
    positions = {
        holding.market: max((qty for qty, _ in holding.positions), key=abs)
        for holding in holdings
        if any(qty for qty, _ in holding.positions)
    }
    view = View(
        day_e6=result.day_e6,
        high_water_e6=account.high_water_e6,
        positions=positions,
        market_exposure_e6=worst.markets,
        event_exposure_e6=worst.events,
        account_exposure_e6=worst.account_e6,
        stale_books=_stale_books(
            account.marks, [holding.market for holding in holdings], patience.book_stale_ms, now_ns, now_ms
        ),
        executor_silence_ms=(now_ns - leader.heard_ns) // _MS,
        executor_silence_ms_max=patience.executor_silence_ns // _MS,
        recon_problem=_recon_problem(recon, patience.recon_silence_ns, now_ns),
        orders_last_minute=account.orders.new_within_a_minute(now_ns),
        money=areas.money.view(account, positions, worst, now_ns, now_ms, is_known=is_known),
        conduct=areas.conduct.view(now_ns, now_ms),
        health=areas.health.view(now_ns, now_ms),
        slow=areas.slow.view(now_ns, now_ms),
    )
    return Standing(view, result, worst, evaluate(TRIGGERS, view, limits))


def consequences(account: Account, standing: Standing) -> Consequences:
    """Return what a resume would mean now."""
    open_orders = account.orders.by_market()
    positions = standing.view.positions
    return Consequences(
        markets=tuple(
            MarketConsequence(
                market=market,
                position_e2=positions.get(market, 0),
                resting_e2=sum(order.qty_e2 for order in open_orders.get(market, ())),
                worst_loss_e6=standing.exposures.markets.get(market, 0),
            )
            for market in sorted({*positions, *open_orders})
        ),
        worst_loss_e6=standing.exposures.account_e6,
        day_result_e6=standing.result.day_e6,
        red=tuple(fired.text for fired in standing.fired),
    )


def _stale_books(
    marks: Marks, markets: Iterable[str], stale_ms: int, now_ns: int, now_ms: int
) -> tuple[str, ...]:
    """Return why books of our markets cannot be believed.

    A market whose book nobody ever showed us (an old position outside of what is
    quoted) counts at cost and does not pause the rest; one that went silent does.
    """
    return tuple(
        reason
        for market in markets
        if marks.has_seen(market)
        and (reason := marks.stale_reason(market, now_ns, now_ms, stale_ms)) is not None
    )


def _recon_problem(recon: tuple[PermitV1, int] | None, silence_ns: int, now_ns: int) -> str:
    if recon is None:
        return "never heard"
    permit, heard_ns = recon
    if now_ns - heard_ns > silence_ns:
        return f"not heard for {(now_ns - heard_ns) // _MS} ms"
    return "" if permit.is_open else "; ".join(permit.reasons) or "closed"

"""Stages that say where we would be indifferent, and how far from there we ask to be paid.

`strategy.md` 5.2 and 5.5. The inventory skew is one formula for both regimes:
x - gamma q min(1, V / (p (1 - p))), which is the exact hold-to-settlement skew
when nothing can be unwound and small where inventory recycles quickly. The
half-width is the largest of model, adverse selection, fees and tick; each stage
widens what the ones before it left too narrow, so the record shows which bound.
"""

from __future__ import annotations

from math import exp, log, log1p

from libs.common.domain.fees import FeeTerms, model_fee_e6
from libs.common.domain.units import CONTRACT_E2
from services.strategy.core.maker_settings import MakerSettings
from services.strategy.core.work import P_MIN, Work, expit, logit


def inventory_skew(work: Work[MakerSettings]) -> str:
    """Move the centre against the position."""
    if work.position_e2:
        settings = work.settings
        p = expit(work.x)
        share = min(1.0, quadratic_variation(work, p) / (p * (1.0 - p)))
        work.set_centre_x(work.x - settings.gamma * (work.position_e2 / CONTRACT_E2) * share)
    work.reservation_e4 = work.bid_e4
    return ""


def model_width(work: Work[MakerSettings]) -> str:
    """Open the quote by the log-odds form of Avellaneda and Stoikov (Shaw and Dalen 2025).

    The variance is taken at the fair value: at the reservation price it would
    grow with the position near 0 and 1, and more inventory could raise an ask.
    """
    settings = work.settings
    p = min(1.0 - P_MIN, max(P_MIN, (work.fair_e4 or work.reservation_e4) / 10_000.0))
    pq = p * (1.0 - p)
    variance_x = quadratic_variation(work, p) / (pq * pq)
    gamma = settings.width_gamma
    _open(work, 0.5 * gamma * variance_x + log1p(gamma / settings.width_k) / gamma)
    return ""


def adverse_floor(work: Work[MakerSettings]) -> str:
    """Ask at least what informed traders cost: ln((1 + alpha) / (1 - alpha)) (Glosten and Milgrom 1985)."""
    alpha = work.settings.alpha
    if alpha > 0.0:
        _open(work, log((1.0 + alpha) / (1.0 - alpha)))
    return ""


def fee_floor(work: Work[MakerSettings]) -> str:
    """Ask at least half the fees of entry and exit; nothing where makers trade free and never take."""
    _open_e4(work, fee_half_width_e4(work))
    return ""


def tick_floor(work: Work[MakerSettings]) -> str:
    """Ask at least a configured part of a tick."""
    _open_e4(work, work.settings.half_width_ticks_min * work.tick_e4)
    return ""


def age_factor(work: Work[MakerSettings]) -> str:
    """Widen with the time since the book last changed."""
    settings = work.settings
    if settings.age_widen_per_s > 0.0:
        quiet_s = max(0, work.book.as_of_ms - work.book.venue_ms) / 1_000.0
        factor = 1.0 + min(settings.age_widen_max, settings.age_widen_per_s * quiet_s)
        centre_e4 = work.reservation_e4
        work.bid_e4 = centre_e4 - (centre_e4 - work.bid_e4) * factor
        work.ask_e4 = centre_e4 + (work.ask_e4 - centre_e4) * factor
    return ""


def time_left_s(work: Work[MakerSettings]) -> float:
    """Return the expected time to the close, an early one included: E[min(tau, Exp(lambda))]."""
    tau_s = max(0.001, work.to_close_ms / 1_000.0)
    hazard = work.settings.early_close_per_hour / 3_600.0
    return (1.0 - exp(-hazard * tau_s)) / hazard if hazard > 0.0 else tau_s


def quadratic_variation(work: Work[MakerSettings], p: float) -> float:
    """Return the expected squared movement while a contract is held; never above p (1 - p)."""
    pq = p * (1.0 - p)
    left_s = time_left_s(work)
    features = work.book.features
    rate = 0.0 if features is None else max(0.0, features.variance_e8_s) / 1e8
    rate = max(rate, work.settings.variance_prior * pq / left_s)
    return min(pq, rate * min(work.settings.holding_s, left_s))


def fee_half_width_e4(work: Work[MakerSettings]) -> float:
    """Return half of entry and exit fees per contract: h = (maker + (1 - u) maker + u taker) / 2."""
    fee = work.book.fee
    if fee.multiplier_e4 == 0:
        return 0.0
    terms = FeeTerms(fee.fee_type, fee.multiplier_e4)
    price_e4 = round(work.reservation_e4)
    maker_e6 = model_fee_e6(terms, price_e4, CONTRACT_E2, is_taker=False)
    u = work.settings.taker_exit_share
    taker_e6 = model_fee_e6(terms, price_e4, CONTRACT_E2, is_taker=True) if u > 0.0 else 0
    # Millionths a contract are hundredths of a price unit.
    return 0.5 * ((2.0 - u) * maker_e6 + u * taker_e6) / 100.0


def _open(work: Work[MakerSettings], half_x: float) -> None:
    x = logit(work.reservation_e4 / 10_000.0)
    work.bid_e4 = min(work.bid_e4, 10_000.0 * expit(x - half_x))
    work.ask_e4 = max(work.ask_e4, 10_000.0 * expit(x + half_x))


def _open_e4(work: Work[MakerSettings], half_e4: float) -> None:
    work.bid_e4 = min(work.bid_e4, work.reservation_e4 - half_e4)
    work.ask_e4 = max(work.ask_e4, work.reservation_e4 + half_e4)

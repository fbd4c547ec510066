"""Stages that say what the contract is worth: touch, micro-price, signals, calibration.

Formulas and sources: `strategy.md` 5.1. The first two move the price, the
others work in log-odds so that a probability near 0 or 1 cannot leave its
range.
"""

from __future__ import annotations

from libs.common.domain.reasons import Reason
from services.strategy.core.maker_settings import MakerSettings
from services.strategy.core.work import P_MIN, Work, logit


def weighted_mid(work: Work[MakerSettings]) -> str:
    """Lean towards the side with less size: w = (b Qa + a Qb) / (Qa + Qb), partly."""
    (bid_e4, bid_e2), (ask_e4, ask_e2) = work.net_bid, work.net_ask
    weighted_e4 = (bid_e4 * ask_e2 + ask_e4 * bid_e2) / (bid_e2 + ask_e2)
    work.set_centre_e4(work.bid_e4 + work.settings.weighted_mid_weight * (weighted_e4 - work.bid_e4))
    return ""


def micro_price(work: Work[MakerSettings]) -> str:
    """Add the learnt drift of the mid given imbalance and spread (Stoikov 2018), partly."""
    features = work.book.features
    if features is not None:
        drift_e4 = features.micro_e4 - features.mid_e4
        work.set_centre_e4(work.bid_e4 + work.settings.micro_weight * drift_e4)
    return ""


def signals(work: Work[MakerSettings]) -> str:
    """Average with outside fair values in log-odds, by precision; age halves a signal's weight.

    The book weighs 1. A source counts only if the configuration names it.
    """
    sources = work.settings.signals
    if not sources or not work.signals:
        return ""
    total, sum_x = 1.0, work.x
    for name in sorted(sources):
        signal = work.signals.get(name)
        source = sources[name]
        if signal is None or not 0.0 < signal.probability < 1.0 or signal.confidence <= 0.0:
            continue
        age_ms = max(0, work.book.as_of_ms - signal.as_of_ms)
        if age_ms > source.age_ms_max:
            continue
        weight = source.weight * min(1.0, signal.confidence) * 0.5 ** (age_ms / source.half_life_ms)
        total += weight
        sum_x += weight * logit(signal.probability)
    work.set_centre_x(sum_x / total)
    return ""


def longshot(work: Work[MakerSettings]) -> str:
    """Correct the favourite-longshot bias: x becomes alpha + beta x; the identity unless fitted."""
    work.set_centre_x(work.settings.longshot_alpha + work.settings.longshot_beta * work.x)
    return ""


def fair_value(work: Work[MakerSettings]) -> str:
    """Note the fair value: what follows is about us, not about the contract."""
    fair_e4 = work.bid_e4
    if not P_MIN * 10_000 < fair_e4 < 10_000 * (1 - P_MIN):
        return work.silence_both(Reason.PRICE_OUT_OF_RANGE, "fair value at the edge")
    work.fair_e4 = fair_e4
    work.reservation_e4 = fair_e4
    return ""

"""Stages that look across the outcomes of a mutually exclusive event.

At most one outcome pays, so the probabilities sum to at most one, and to
exactly one where the outcomes cover everything (`strategy.md` 5.1.4). The
siblings' tops come with the book, so no decision needs another message.
"""

from __future__ import annotations

from math import log

from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from services.strategy.core.maker_settings import MakerSettings
from services.strategy.core.work import Work, expit, logit

_ROUNDS_MAX = 60
_CLOSE = 1e-12


def group_coherence(work: Work[MakerSettings]) -> str:
    """Bring the probabilities of exclusive outcomes to a sum of one: find c with sum S(x + c) = 1.

    Unless the outcomes are known to be exhaustive, only a sum above one proves
    anything. A sibling with one side only counts with its bid (or nothing),
    which can only understate the sum.
    """
    siblings = work.book.siblings
    if not siblings:
        return ""
    others: list[float] = []
    is_complete = True
    for sibling in siblings:
        if sibling.bid_e4 is not None and sibling.ask_e4 is not None and sibling.bid_e4 < sibling.ask_e4:
            others.append((sibling.bid_e4 + sibling.ask_e4) / 20_000.0)
        else:
            is_complete = False
            if sibling.bid_e4:
                others.append(sibling.bid_e4 / 10_000.0)
    total = sum(others) + expit(work.x)
    if total <= 1.0 and not (work.settings.is_exhaustive and is_complete):
        return ""
    shift = common_shift([work.x, *[logit(p) for p in others]])
    work.set_centre_x(work.x + shift)
    return ""


def sum_constraints(work: Work[MakerSettings]) -> str:
    """Keep the displayed quotes of the event free of arbitrage against us.

    The bids of exclusive outcomes may not sum to more than one, or selling all
    of them is riskless; the asks of exhaustive ones may not sum to less.
    """
    siblings = work.book.siblings
    if not siblings:
        return ""
    said = ""
    limit_e4 = 10_000 - sum(sibling.bid_e4 or 0 for sibling in siblings)
    if work.bid_e4 > limit_e4:
        said = Reason.EVENT_INCOHERENT.value
        if limit_e4 <= 0:
            work.silence(Side.BID, Reason.EVENT_INCOHERENT, f"{limit_e4} left under one dollar")
        else:
            work.bid_e4 = float(limit_e4)
    asks = [sibling.ask_e4 for sibling in siblings if sibling.ask_e4 is not None]
    if work.settings.is_exhaustive and len(asks) == len(siblings):
        least_e4 = 10_000 - sum(asks)
        if work.ask_e4 < least_e4:
            said = Reason.EVENT_INCOHERENT.value
            work.ask_e4 = float(least_e4)
    return said


def common_shift(xs: list[float]) -> float:
    """Return the c with sum S(x + c) = 1, by Newton steps kept inside a shrinking bracket."""
    # At -low every outcome is below 1/n, at high the largest alone exceeds one half and so do two.
    low, high = -max(xs) - log(len(xs) * 4.0), -min(xs) + log(len(xs) * 4.0)
    c = 0.0
    for _ in range(_ROUNDS_MAX):
        total, slope = -1.0, 0.0
        for x in xs:
            p = expit(x + c)
            total += p
            slope += p * (1.0 - p)
        if abs(total) < _CLOSE:
            break
        if total > 0.0:
            high = min(high, c)
        else:
            low = max(low, c)
        step = c - total / slope if slope > 0.0 else c
        c = step if low < step < high else (low + high) / 2
    return c

"""Last stages of every strategy: from wanted prices and sizes to quotes that may be sent.

Rounding is outward, a quote never crosses the displayed opposite touch (an
order that would is refused by the venue, being post-only) nor its own other
side, and sizes only shrink. Sizes move in eighths with time, so that the clock
alone does not cost queue places (A-057).
"""

from __future__ import annotations

from math import sqrt

from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from services.strategy.core.settings import M
from services.strategy.core.work import Work

_SIZE_STEPS = 8
_BANKROLL_PARTS = 20  # 5 % of the balance in one quote (D-081)


def min_spread(work: Work[M]) -> str:
    """Quote only where the market's own spread pays for it (A-093)."""
    spread_e4 = work.net_ask[0] - work.net_bid[0]
    if spread_e4 < work.settings.min_spread_e4:
        return work.silence_both(Reason.SPREAD_TOO_NARROW, f"{spread_e4} of {work.settings.min_spread_e4}")
    return ""


def time_to_close(work: Work[M]) -> str:
    """Shrink with the square root of the time left, then only reduce."""
    settings = work.settings
    if work.to_close_ms <= settings.reduce_ms:
        work.is_reducing_only = True
        return Reason.CLOSING_SOON.value
    if work.to_close_ms < settings.fade_ms:
        eighths = int(_SIZE_STEPS * sqrt(work.to_close_ms / settings.fade_ms))
        work.bid_e2 = work.bid_e2 * eighths // _SIZE_STEPS
        work.ask_e2 = work.ask_e2 * eighths // _SIZE_STEPS
        return Reason.CLOSING_SOON.value if eighths < _SIZE_STEPS else ""
    return ""


def caps(work: Work[M]) -> str:
    """Bound each size: scale, D-081 limits, and the position that a whole fill would leave."""
    settings = work.settings
    bid_e2 = _limited(work, Side.BID, work.bid_e2 * settings.scale_e4 // 10_000)
    ask_e2 = _limited(work, Side.ASK, work.ask_e2 * settings.scale_e4 // 10_000)
    room_bid_e2 = settings.inventory_e2_max - work.position_e2
    room_ask_e2 = settings.inventory_e2_max + work.position_e2
    said = ""
    if room_bid_e2 < bid_e2:
        bid_e2, said = max(0, room_bid_e2), Reason.INVENTORY_CAP.value
        if bid_e2 < settings.size_e2_min:
            work.silence(Side.BID, Reason.INVENTORY_CAP, f"position {work.position_e2}")
    if room_ask_e2 < ask_e2:
        ask_e2, said = max(0, room_ask_e2), Reason.INVENTORY_CAP.value
        if ask_e2 < settings.size_e2_min:
            work.silence(Side.ASK, Reason.INVENTORY_CAP, f"position {work.position_e2}")
    work.bid_e2, work.ask_e2 = bid_e2, ask_e2
    return said


def reduce_only(work: Work[M]) -> str:
    """Where told, or close to the close, quote only towards a flat position and not through it."""
    is_told = work.settings.reduce_only
    if not is_told and not work.is_reducing_only:
        return ""
    reason = Reason.REDUCE_ONLY if is_told else Reason.CLOSING_SOON
    work.is_reducing_only = True
    work.bid_e2 = min(work.bid_e2, max(0, -work.position_e2))
    work.ask_e2 = min(work.ask_e2, max(0, work.position_e2))
    if work.bid_e2 == 0:
        work.silence(Side.BID, reason, f"position {work.position_e2}")
    if work.ask_e2 == 0:
        work.silence(Side.ASK, reason, f"position {work.position_e2}")
    return reason.value


def snap(work: Work[M]) -> str:
    """Put each price on the grid: outward, short of the displayed opposite touch, and within bounds."""
    grid, settings = work.grid, work.settings
    bid_e4 = grid.floor_to_tick(work.bid_e4)
    if bid_e4 is not None and bid_e4 >= work.best_ask_e4:
        bid_e4 = grid.next_down(work.best_ask_e4)
    ask_e4 = grid.ceil_to_tick(work.ask_e4)
    if ask_e4 is not None and ask_e4 <= work.best_bid_e4:
        ask_e4 = grid.next_up(work.best_bid_e4)
    if bid_e4 is not None and ask_e4 is not None and bid_e4 >= ask_e4:
        # Only a quote without any width comes here: the bid gives way.
        bid_e4 = grid.next_down(ask_e4)
    if bid_e4 is None or not settings.price_e4_min <= bid_e4 <= settings.price_e4_max:
        work.silence(Side.BID, Reason.PRICE_OUT_OF_RANGE, f"{work.bid_e4:.2f}")
    else:
        work.bid_e4 = bid_e4
    if ask_e4 is None or not settings.price_e4_min <= ask_e4 <= settings.price_e4_max:
        work.silence(Side.ASK, Reason.PRICE_OUT_OF_RANGE, f"{work.ask_e4:.2f}")
    else:
        work.ask_e4 = ask_e4
    return ""


def size(work: Work[M]) -> str:
    """Round each size down to its step and silence what is left too small.

    The rest of a position may be smaller than a step: reducing it whole is allowed.
    """
    settings = work.settings
    flat_e2 = abs(work.position_e2)
    for side in (Side.BID, Side.ASK):
        if (work.bid_reason if side is Side.BID else work.ask_reason) is not None:
            continue
        wanted_e2 = work.bid_e2 if side is Side.BID else work.ask_e2
        is_exit = work.is_reducing_only and wanted_e2 == flat_e2 > 0
        if not is_exit:
            wanted_e2 -= wanted_e2 % settings.size_step_e2
            if wanted_e2 < max(1, settings.size_e2_min):
                work.silence(side, Reason.SIZE_BELOW_MINIMUM, f"{wanted_e2} of {settings.size_e2_min}")
        if side is Side.BID:
            work.bid_e2 = wanted_e2
        else:
            work.ask_e2 = wanted_e2
    return ""


def _limited(work: Work[M], side: Side, size_e2: int) -> int:
    """Return min(size, 2 x default or global maximum, 5 % of the bankroll, Kelly) (D-080, D-081)."""
    settings = work.settings
    limit_e2 = 2 * settings.size_e2 if settings.size_e2_max is None else settings.size_e2_max
    limited_e2 = min(size_e2, limit_e2)
    if settings.bankroll_e6:
        price_e4 = work.bid_e4 if side is Side.BID else work.ask_e4
        fair_e4 = price_e4 if work.fair_e4 is None else work.fair_e4
        paid_e4 = price_e4 if side is Side.BID else 10_000.0 - price_e4
        if paid_e4 <= 0.0:
            return 0
        limited_e2 = min(limited_e2, int(settings.bankroll_e6 // _BANKROLL_PARTS / paid_e4))
        if settings.kelly_fraction > 0.0:
            # Buying YES at p with belief v: (v - p) / (1 - p) of the bankroll; selling mirrors it.
            edge_e4 = (fair_e4 - price_e4) * side.sign
            part = max(0.0, edge_e4 / (10_000.0 - paid_e4)) if paid_e4 < 10_000.0 else 0.0
            limited_e2 = min(limited_e2, int(settings.kelly_fraction * part * settings.bankroll_e6 / paid_e4))
    return limited_e2

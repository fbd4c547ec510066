"""Runs the stages of a strategy over one market and writes down what each did.

The effect of a stage is how far it moved each price, in hundredths of the tick
at the displayed mid, so that the effects add up to the way from the mid to the
quote. A stage that moved nothing and said nothing is not listed. When both
sides are silent the rest is skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple

from libs.common.domain.ids import decision_id
from libs.common.domain.reasons import Reason
from libs.common.domain.side import Side
from libs.common.messages.execution import PositionV1
from libs.common.messages.market import BookV1, SignalV1
from libs.common.messages.target import QuoteV1, SilenceV1, StageV1, TargetV1
from services.strategy.core.settings import M
from services.strategy.core.work import Stage, Work


@dataclass(frozen=True, slots=True)
class Step(Generic[M]):
    """A named stage; one that protects cannot be turned off."""

    name: str
    stage: Stage[M]
    protects: bool = False


@dataclass(frozen=True, slots=True)
class Plan(Generic[M]):
    """Everything about one market that does not come with its book: made once per configuration.

    Attributes:
        label: Registry name, version and hash of the settings.
        settings: The market's settings.
        trading_enabled: The global flag (A-023).
        steps: The stages to run.
        revision: Newest revision of the live configuration that is in it.
    """

    label: str
    settings: M
    trading_enabled: bool
    steps: tuple[Step[M], ...]
    revision: int


class _Said(NamedTuple):
    """What the stages came to."""

    quotes: tuple[QuoteV1, ...]
    silences: tuple[SilenceV1, ...]
    stages: tuple[StageV1, ...]
    fair_e4: float | None


NO_SIGNALS: Mapping[str, SignalV1] = {}


def decide(
    book: BookV1, position: PositionV1 | None, plan: Plan[M], signals: Mapping[str, SignalV1] = NO_SIGNALS
) -> TargetV1:
    """Return what should rest in this market, with the reason for every silence.

    Args:
        book: The market's newest book.
        position: Our position and orders there, or None if none was heard.
        plan: Settings and stages.
        signals: Newest outside fair values by source.
    """
    work = Work(book, position, plan.settings, signals, trading_enabled=plan.trading_enabled)
    stages: list[StageV1] = []
    has_mid = False
    for step in plan.steps:
        bid_e4, ask_e4 = work.bid_e4, work.ask_e4
        reason = step.stage(work)
        moved_bid, moved_ask = work.bid_e4 - bid_e4, work.ask_e4 - ask_e4
        if not has_mid:
            has_mid = bool(work.bid_e4)
            moved_bid = moved_ask = 0.0  # the displayed mid is where the count begins
        if moved_bid or moved_ask or reason:
            scale = 100.0 / work.tick_e4
            stages.append(
                StageV1(
                    stage=step.name,
                    bid_ticks_e2=round(moved_bid * scale),
                    ask_ticks_e2=round(moved_ask * scale),
                    reason=reason,
                )
            )
        if work.bid_reason is not None and work.ask_reason is not None:
            break
    quotes: list[QuoteV1] = []
    silences: list[SilenceV1] = []
    if work.bid_reason is None:
        quotes.append(QuoteV1(side=Side.BID, price_e4=int(work.bid_e4), qty_e2=work.bid_e2))
    else:
        silences.append(SilenceV1(side=Side.BID, reason=work.bid_reason[0], detail=work.bid_reason[1]))
    if work.ask_reason is None:
        quotes.append(QuoteV1(side=Side.ASK, price_e4=int(work.ask_e4), qty_e2=work.ask_e2))
    else:
        silences.append(SilenceV1(side=Side.ASK, reason=work.ask_reason[0], detail=work.ask_reason[1]))
    return _target(book, position, plan, _Said(tuple(quotes), tuple(silences), tuple(stages), work.fair_e4))


def refuse(
    book: BookV1, position: PositionV1 | None, plan: Plan[M], reason: Reason, detail: str = ""
) -> TargetV1:
    """Return the empty target with one reason for both sides; what an error in one market becomes (B-053)."""
    silences = tuple(SilenceV1(side=side, reason=reason.value, detail=detail) for side in Side)
    return _target(book, position, plan, _Said((), silences, (), None))


def _target(book: BookV1, position: PositionV1 | None, plan: Plan[M], said: _Said) -> TargetV1:
    return TargetV1(
        market=book.market,
        event=book.event,
        strategy=plan.label,
        decision_id=decision_id(book.producer, book.market, book.sequence),
        config_revision=plan.revision,
        book_producer=book.producer,
        book_sequence=book.sequence,
        book_venue_ms=book.venue_ms,
        book_as_of_ms=book.as_of_ms,
        position_epoch=0 if position is None else position.epoch,
        position_sequence=0 if position is None else position.sequence,
        quotes=said.quotes,
        silences=said.silences,
        stages=said.stages,
        fair_e4=None if said.fair_e4 is None else round(said.fair_e4, 6),
        expires_ms=book.as_of_ms + plan.settings.life_ms,
        origin_mono_ns=book.origin_mono_ns,
    )

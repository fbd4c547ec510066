"""What strategy publishes: the whole desired set of quotes of one market, explained."""

from __future__ import annotations

from libs.common.domain.side import Side
from libs.common.messages.base import Wire


class QuoteV1(Wire, frozen=True, kw_only=True):
    """One wanted resting order."""

    side: Side
    price_e4: int
    qty_e2: int


class SilenceV1(Wire, frozen=True, kw_only=True):
    """Why a side is not quoted; the code is one of ``libs/common/domain/reasons.py``."""

    side: Side
    reason: str
    detail: str = ""


class StageV1(Wire, frozen=True, kw_only=True):
    """What one stage of the pipeline did to each side, in ticks of the grid at the price (E2: hundredths)."""

    stage: str
    bid_ticks_e2: int
    ask_ticks_e2: int
    reason: str = ""


class TargetV1(Wire, frozen=True, kw_only=True):
    """``target``: replaces every earlier target of the market. Equal inputs give equal bytes.

    A side is either in ``quotes`` or in ``silences``. Order of age: by
    (``book_producer`` start, ``book_sequence``, ``position_sequence``); the
    executor keeps the newest and drops what is past ``expires_ms``.
    """

    market: str
    event: str
    strategy: str
    """Registry name, version and configuration hash: ``dora-maker/1/ab12cd34``."""
    decision_id: str
    config_revision: int
    book_producer: str
    book_sequence: int
    book_venue_ms: int
    book_as_of_ms: int
    position_epoch: int
    position_sequence: int
    quotes: tuple[QuoteV1, ...]
    silences: tuple[SilenceV1, ...]
    stages: tuple[StageV1, ...]
    fair_e4: float | None
    expires_ms: int
    """Absolute, exchange clock: ``book_as_of_ms`` plus the configured life."""
    origin_mono_ns: int
    """Copied from the book."""


class DecisionBatchV1(Wire, frozen=True, kw_only=True):
    """``audit.decision``: targets whose outcome changed, batched so that an audit costs one append."""

    instance: str
    run: str
    targets: tuple[TargetV1, ...]

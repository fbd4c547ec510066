"""Every strategy that can be named in the configuration: one line each.

`tests/contract/test_strategy_contract.py` runs over this table, so a new entry
is tested before its author writes a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic

from services.strategy.core import join_best, maker
from services.strategy.core.maker_settings import MakerSettings
from services.strategy.core.pipeline import Step
from services.strategy.core.settings import M


@dataclass(frozen=True, slots=True)
class Entry(Generic[M]):
    """A strategy: its settings and its stages."""

    settings: type[M]
    steps: tuple[Step[M], ...]
    version: str


STRATEGIES: Final[Mapping[str, Entry[Any]]] = {
    "dora-maker": Entry(MakerSettings, maker.STEPS, maker.VERSION),
    "join-best": Entry(join_best.JoinBestSettings, join_best.STEPS, join_best.VERSION),
}

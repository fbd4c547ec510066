"""The Dora maker: one list of stages, read from top to bottom (`strategy.md` 5.8).

Gate, book without us, fair value, reservation price, width, rules of the day,
caps, grid. To try an idea, write a stage and put it into the list; to see what
one is worth, name it in ``stages_off``.
"""

from __future__ import annotations

from typing import Final

from services.strategy.core import fair, gate, group, shape, width
from services.strategy.core.maker_settings import MakerSettings
from services.strategy.core.pipeline import Step

VERSION: Final = "1"

STEPS: Final[tuple[Step[MakerSettings], ...]] = (
    Step("permission", gate.permission, protects=True),
    Step("own_state", gate.own_state, protects=True),
    Step("market_state", gate.market_state, protects=True),
    Step("two_sided", gate.two_sided, protects=True),
    Step("own_quantity", gate.own_quantity, protects=True),
    Step("weighted_mid", fair.weighted_mid),
    Step("micro_price", fair.micro_price),
    Step("signals", fair.signals),
    Step("group_coherence", group.group_coherence),
    Step("longshot", fair.longshot),
    Step("fair_value", fair.fair_value, protects=True),
    Step("inventory_skew", width.inventory_skew),
    Step("model_width", width.model_width),
    Step("adverse_floor", width.adverse_floor),
    Step("fee_floor", width.fee_floor),
    Step("tick_floor", width.tick_floor),
    Step("age_factor", width.age_factor),
    Step("min_spread", shape.min_spread),
    Step("time_to_close", shape.time_to_close),
    Step("caps", shape.caps, protects=True),
    Step("reduce_only", shape.reduce_only, protects=True),
    Step("sum_constraints", group.sum_constraints),
    Step("snap", shape.snap, protects=True),
    Step("size", shape.size, protects=True),
)

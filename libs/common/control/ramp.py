"""After a resume sizes begin small and grow: what was wrong shows while it is cheap."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

FULL_E4: Final = 10_000
_STEP_E4: Final = 1_000
"""Sizes grow in steps: each one moves every quote once."""


class Ramp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Section ``[ramp]``.

    Attributes:
        start_e4: Size factor right after a resume, ten-thousandths.
        minutes: Until sizes are whole again; 0 is no ramp.
    """

    start_e4: Annotated[int, msgspec.Meta(ge=0, le=FULL_E4)] = 1_000
    minutes: Annotated[float, msgspec.Meta(ge=0, le=1_440)] = 10.0

    def scale_e4(self, resumed_ms: int, now_ms: int) -> int:
        """Return the size factor.

        Args:
            resumed_ms: When the resume began to count, Unix; 0 is never.
            now_ms: Wall clock; before the resume, by a clock that was stepped, counts as its moment.
        """
        length_ms = int(self.minutes * 60_000)
        passed_ms = max(0, now_ms - resumed_ms)
        if not resumed_ms or passed_ms >= length_ms:
            return FULL_E4
        grown_e4 = (FULL_E4 - self.start_e4) * passed_ms // length_ms
        return self.start_e4 + grown_e4 // _STEP_E4 * _STEP_E4


def scaled_e2(qty_e2: int, scale_e4: int) -> int:
    """Return a quantity under a size factor, down to whole contracts where it was whole.

    Zero stays zero, and what is too small for one unit becomes zero.
    """
    if scale_e4 >= FULL_E4:
        return qty_e2
    unit_e2 = 1 if qty_e2 % 100 else 100
    return qty_e2 * max(0, scale_e4) // FULL_E4 // unit_e2 * unit_e2

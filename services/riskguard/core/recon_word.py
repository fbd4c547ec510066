"""The reconciler's newest permit, with everything replayed left out.

Within a boot the counter grows; a boot that another one followed never speaks
again. A broker that thaws, or whoever recorded a permit, cannot make an old one
count: neither of this boot nor of the one before it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from libs.common.messages.control import PermitV1

_BOOTS_KEPT: Final = 64


@dataclass(slots=True)
class ReconWord:
    """``newest`` is the permit and its arrival, monotonic nanoseconds; None if none was ever heard."""

    newest: tuple[PermitV1, int] | None = None
    _ended: deque[str] = field(default_factory=lambda: deque(maxlen=_BOOTS_KEPT))

    def on_permit(self, permit: PermitV1, now_ns: int) -> None:
        """Take a permit of our account."""
        if permit.boot in self._ended:
            return
        if self.newest is not None:
            before = self.newest[0]
            if before.boot == permit.boot and permit.counter <= before.counter:
                return
            if before.boot != permit.boot:
                self._ended.append(before.boot)
        self.newest = (permit, now_ns)

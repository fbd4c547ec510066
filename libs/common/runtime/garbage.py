"""When the garbage collector runs: young garbage often and between messages, everything rarely.

Left to itself the collector runs when enough objects were made, which is in the middle of
a burst: collections of 5 to 10 ms were seen in the executor and in marketdata, in just the
moments in which an order waits (ADR 0017). Here it runs by the clock. What start-up and the
first seconds made is taken out of its sight for good. Nearly everything of ours is freed by
counting references anyway; what is left are cycles of tasks and exceptions.
"""

from __future__ import annotations

import asyncio
import gc
from typing import Final, NoReturn

YOUNG_S: Final = 0.5
"""Between two looks at what is new: a few thousand objects, some tenths of a millisecond."""
SETTLED_S: Final = 5.0
"""After so long the caches stand that the first messages fill; they will not be looked at again."""
WHOLE_S: Final = 120.0
"""Between two looks at everything since then."""


def settle() -> None:
    """Collect, and keep the collector from ever looking again at what is left."""
    gc.collect()
    gc.freeze()


async def collect_by_clock(
    young_s: float = YOUNG_S, settled_s: float = SETTLED_S, whole_s: float = WHOLE_S
) -> NoReturn:
    """Collect by the clock until cancelled; then the collector is its own master again."""
    loop = asyncio.get_running_loop()
    gc.disable()
    try:
        settles = loop.time() + settled_s
        whole = loop.time() + whole_s
        while True:
            await asyncio.sleep(young_s)
            now = loop.time()
            if now >= settles:
                settle()
                settles = float("inf")
            elif now >= whole:
                gc.collect()
                whole = now + whole_s
            else:
                gc.collect(1)
    finally:
        gc.enable()

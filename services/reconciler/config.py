"""What the reconciler can be told: its venue key (read only), its rhythm, and its patience."""

from __future__ import annotations

from typing import Annotated

import msgspec

from libs.common.runtime.config import Common, Venue


class Timing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How often to compare, and how long a difference may be mere lag.

    Attributes:
        cycle_ms: Time between comparisons; at least a second, which is how often the venue tells a balance,
            and at most five minutes (requirement D-029).
        cycle_min_ms: Shortest time between two comparisons, however many anomalies ask for one.
        settle_ms: Orders and fills younger than this are no evidence: reads lag writes (kalshi-api 14.3).
        confirm_ms: A difference that is new is looked at again after this time; comparisons closer together
            count as one.
        confirm_cycles: A difference counts when this many comparisons in a row show it unchanged.
        fresh_cycles: The permit closes when the last agreement is older than this many cycles.
        escalate_cycles: An orphan or a ghost that outlives this many comparisons halts.
        executor_silence_ms: Without a renewal for this long the executor's word is history, not evidence.
        recovery_ms: A new epoch has this long to agree for the first time before a difference halts.
        halt_after_ms: What halts does so once it has lasted so long; the alert comes and the permit closes as
            soon as it counts.
        in_flight_ms: An order on its way for longer than this is one that the executor does not know.
    """

    cycle_ms: Annotated[int, msgspec.Meta(ge=1_000, le=300_000)] = 10_000
    cycle_min_ms: Annotated[int, msgspec.Meta(ge=100, le=60_000)] = 1_000
    settle_ms: Annotated[int, msgspec.Meta(ge=100, le=30_000)] = 2_000
    confirm_ms: Annotated[int, msgspec.Meta(ge=100, le=30_000)] = 1_000
    confirm_cycles: Annotated[int, msgspec.Meta(ge=2, le=10)] = 2
    fresh_cycles: Annotated[int, msgspec.Meta(ge=2, le=10)] = 3
    escalate_cycles: Annotated[int, msgspec.Meta(ge=2, le=100)] = 6
    executor_silence_ms: Annotated[int, msgspec.Meta(ge=1_000, le=60_000)] = 4_000
    recovery_ms: Annotated[int, msgspec.Meta(ge=1_000, le=300_000)] = 60_000
    halt_after_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 10_000
    in_flight_ms: Annotated[int, msgspec.Meta(ge=1_000, le=300_000)] = 15_000


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The reconciler's whole configuration."""

    common: Common = Common()
    venue: Venue = Venue()
    timing: Timing = Timing()

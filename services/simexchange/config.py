"""What the simulated venue is told; section ``sim`` (environment ``DORA__SIM__…``)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from libs.common.runtime.config import Common, Port
from libs.common.runtime.errors import ConfigError
from services.simexchange.core.queue_model import QueueModel

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Tier = Literal["basic", "advanced", "expert", "premier", "paragon", "prime", "prestige"]


class Sim(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Addresses, keys, money and liquidity of the venue."""

    host: str = "127.0.0.1"
    rest_port: Port = 0
    """0: any free port, told in the venue file."""
    ws_port: Port = 0
    venue_file: Annotated[str, msgspec.Meta(min_length=1)] = "var/sim/venue.json"
    """Written when everything answers; keys lie in the folder ``keys`` beside it."""
    key_type: Literal["ed25519", "rsa"] = "ed25519"
    tier: Tier = "premier"
    cash_dollars: Annotated[int, msgspec.Meta(ge=0)] = 10_000
    """On each of the shards 0 to 3, for every member."""

    tape: str = ""
    """A recording, a market's folder, or a collection; empty: synthetic flow."""
    speed: Positive = 1.0
    """Recorded time per time."""
    queue_model: QueueModel = QueueModel.PESSIMISTIC

    synthetic_seed: int = 1
    synthetic_events_per_s: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 300.0
    market_life_s: Positive = 86_400.0
    """How long a synthetic market trades before it settles."""

    read_lag_s: NotNegative = 0.0
    """Reads of orders, fills, positions and balances are this old, as on the venue (kalshi-api 14.3)."""
    latency_ms_min: NotNegative = 0.0
    latency_ms_max: NotNegative = 0.0
    """Every REST answer waits a seeded random time of this range."""
    probe_s: NotNegative = 0.1
    """How often readers are pinged, to wait for those behind; 0: only the venue's ping each ten seconds."""
    backlog_bytes_max: Annotated[int, msgspec.Meta(ge=4_096)] = 16 << 20
    """A WebSocket reader this far behind gets the terminal error 25."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole configuration of the process."""

    common: Common = Common()
    sim: Sim = Sim()


def check(config: Config) -> None:
    """Refuse what single fields cannot.

    Raises:
        ConfigError: Names the field, the value and what was expected.
    """
    sim = config.sim
    if sim.latency_ms_max < sim.latency_ms_min:
        raise ConfigError(
            f"sim.latency_ms_max: expected at least sim.latency_ms_min ({sim.latency_ms_min}), "
            f"was {sim.latency_ms_max}"
        )

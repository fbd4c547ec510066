"""One halt after another in one scenario: arm, halt, look what the executor and the venue say."""

from __future__ import annotations

import asyncio
import enum
import random
import time
from dataclasses import dataclass
from typing import Any, Final

from bench.halt_play import Players
from bench.halt_rig import ACCOUNT, SHARDS, Rig

ORDERS: Final = 5_000
LATENCY_MS: Final = (50.0, 300.0)
READ_LAG_S: Final = 0.4
LOAD_PER_S: Final = 3_000
REFUSED_SHARE: Final = 0.3
SICK: Final = 1
_SICK_LOOK_S: Final = 1.6
_SOON_S: Final = 0.5
_NS_MS: Final = 1_000_000


class Scenario(enum.StrEnum):
    """What goes on while the halt comes."""

    IDLE = "idle"
    LOAD = "load"
    BATCH = "batch"
    REFUSED = "429"
    SICK = "sick"


@dataclass(frozen=True, slots=True)
class Round:
    """One halt, milliseconds from the moment it was sent.

    Attributes:
        gate: Until the gate was closed, by the monotonic clock that both processes share.
        last_create: Until the bytes of the last create arrived at the venue; 0 if all came before.
        empty: Until nothing rested, by the venue's own clock; healthy shards where one is sick.
        groups: Until the executor knew that the groups of all healthy shards were triggered.
        verified: Until a listing came back empty; healthy shards where one is sick.
        cycle: What one round took altogether.
        rate: Messages a second that the executor heard beside it, where that is the scenario.
    """

    gate: float
    last_create: float
    empty: float
    groups: float
    verified: float
    cycle: float
    rate: float = 0.0


class Rounds:
    """Performs rounds."""

    def __init__(self, rig: Rig, players: Players, chance: random.Random) -> None:
        self._rig = rig
        self._players = players
        self._chance = chance
        self._has_halted = False
        self._rate = 0.0
        self._quoted: list[str] = []
        self._spare: list[str] = []

    async def one(self, scenario: Scenario) -> Round:
        """Arm, halt and measure once.

        Raises:
            TimeoutError: Something that must happen did not.
            AssertionError: Something is so that must not be.
        """
        began_s = time.monotonic()
        await self._arm(scenario)
        await self._spoil(scenario)
        sent_ns, sent_mono_ns = await self._players.halt()
        self._has_halted = True
        shards = [shard for shard in SHARDS if scenario is not Scenario.SICK or shard != SICK]
        gauges = await self._verified(scenario, sent_mono_ns, shards)
        record = await self._rig.ask("record")
        rows = {int(shard): row for shard, row in record["accounts"][ACCOUNT].items()}
        assert all(rows[shard]["is_empty"] for shard in shards), f"verified and empty, was {rows}"
        heard_ms = (gauges["halt_heard_mono_ns"] - sent_mono_ns) / _NS_MS
        verified_us = [gauges[f"halt_shard_{shard}_verified_us"] for shard in shards]
        groups_us = [gauges[f"halt_shard_{shard}_groups_us"] for shard in shards]
        if scenario is Scenario.SICK:
            await self._heal(sent_mono_ns)
        return Round(
            gate=heard_ms,
            last_create=max(0, record["last_create_ns"] - sent_ns) / _NS_MS,
            empty=max(rows[shard]["empty_ns"] - sent_ns for shard in shards) / _NS_MS,
            groups=heard_ms + max(groups_us) / 1_000,
            verified=heard_ms + max(verified_us) / 1_000,
            cycle=(time.monotonic() - began_s) * 1_000,
            rate=self._rate,
        )

    # Before the halt ----------------------------------------------------------------------------------

    async def _arm(self, scenario: Scenario) -> None:
        rig, players = self._rig, self._players
        players.load_per_s = 0
        await rig.client.delete(f"{rig.venue.rest_url.split('/trade-api')[0]}/sim/faults")
        await rig.move(0, 0, 0)
        await rig.ask("seed", {"account": ACCOUNT, "groups": {}, "count": 0})
        epoch = players.epoch
        await players.resume()
        if self._has_halted:
            # Its groups are dead, so it leads a new epoch; a halt that was only born needs none.
            await _until(lambda: players.epoch > epoch, "an epoch")
        await players.until(lambda seen: seen.state == "running", "an open gate")
        markets = list(rig.markets)
        if scenario is Scenario.BATCH:
            # In turns: a market whose creates were refused by the dead group waits before it quotes again.
            quoted = self._spare or markets[::2]
            self._spare = self._quoted or markets[1::2]
            self._quoted = quoted
            await players.targets(self._spare, quotes=())
        else:
            quoted = markets
        deadline = time.monotonic() + 20
        while True:
            await players.targets(quoted)
            try:
                await players.until(
                    lambda seen: seen.gauges["resting_orders"] == 2 * len(quoted), "quotes", timeout_s=1
                )
                break
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise
        groups = {market: players.groups[shard] for market, shard in rig.markets.items()}
        count = ORDERS - 2 * len(quoted)
        told = await rig.ask("seed", {"account": ACCOUNT, "groups": groups, "count": count})
        assert told["resting"] == ORDERS, told
        await rig.move(*LATENCY_MS, READ_LAG_S)

    async def _spoil(self, scenario: Scenario) -> None:
        rig, players = self._rig, self._players
        if scenario is Scenario.LOAD:
            players.load_per_s = LOAD_PER_S
            before, began_s = players.published, time.monotonic()
            await asyncio.sleep(_SOON_S)
            self._rate = (players.published - before) / (time.monotonic() - began_s)
        elif scenario is Scenario.REFUSED:
            rule = {"kind": "rate_limit", "count": 1 << 40, "probability": REFUSED_SHARE}
            await rig.ask("faults", rule)
        elif scenario is Scenario.SICK:
            await rig.ask("sick", {"shards": [SICK]})
        elif scenario is Scenario.BATCH:
            players.intents.clear()
            await players.targets(self._spare)
            await asyncio.wait_for(players.intents.wait(), 5)
            # The intent is stored now, its bytes leave or are on their way.
            await asyncio.sleep(self._chance.uniform(0, 0.01))
            return
        await asyncio.sleep(self._chance.uniform(0, 0.1))

    # After it -----------------------------------------------------------------------------------------

    async def _verified(self, scenario: Scenario, sent_mono_ns: int, shards: list[int]) -> dict[str, float]:
        await asyncio.sleep(_SOON_S)
        seen = await self._players.until(
            lambda status: (
                status.gauges["halt_heard_mono_ns"] >= sent_mono_ns
                and status.state == "halted"
                and all(status.gauges.get(f"halt_shard_{shard}_verified") == 1 for shard in shards)
            ),
            f"verified on shards {shards}",
        )
        if scenario is not Scenario.SICK:
            assert seen.gauges["halt_verified"] == 1, seen.gauges
        return dict(seen.gauges)

    async def _heal(self, sent_mono_ns: int) -> None:
        left_s = _SICK_LOOK_S - (time.monotonic_ns() - sent_mono_ns) / 1e9
        await asyncio.sleep(max(0.0, left_s))
        gauges = (await self._players.status()).gauges
        assert gauges["halt_verified"] == 0, "a sick shard is never counted as done"
        assert gauges[f"halt_shard_{SICK}_verified"] == 0, gauges
        assert gauges["halt_unverified_shards"] == 1, gauges
        await self._rig.ask("sick", {"shards": []})
        await self._players.until(
            lambda status: status.gauges["halt_verified"] == 1, "the healed shard verified"
        )
        rows: dict[str, Any] = (await self._rig.ask("record"))["accounts"][ACCOUNT]
        assert all(row["is_empty"] for row in rows.values()), rows


async def _until(condition: Any, what: str, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {timeout_s:.0f} s, was not")
        await asyncio.sleep(0.005)

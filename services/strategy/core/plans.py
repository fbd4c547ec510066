"""From configuration to the plan of each market: static file below, live entries above.

Live entries come from the `cfg` bucket: ``strategy.global``,
``strategy.default`` and ``strategy.market.<escaped market>``, each a JSON object
with only the fields it sets; an empty one sets none. An entry that does not
fit is refused whole and changes nothing, so a typing error never opens or
loosens anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from libs.common.subjects import unescape
from services.strategy.core.pipeline import Plan, Step
from services.strategy.core.registry import STRATEGIES, Entry
from services.strategy.core.settings import BadSettings, MarketSettings, combine

GLOBAL_KEY = "strategy.global"
DEFAULT_KEY = "strategy.default"
MARKET_PREFIX = "strategy.market."
DEFAULT = "default"


class GlobalEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Live words about all markets; None leaves the static word."""

    trading_enabled: bool | None = None
    reduce_only: bool | None = None


class Plans:
    """The plan of every market, made on first use and again after a change."""

    def __init__(
        self,
        strategy: str,
        markets: Mapping[str, Mapping[str, Any]],
        *,
        trading_enabled: bool,
        reduce_only: bool,
    ) -> None:
        """Take the static configuration.

        Raises:
            BadSettings: It does not fit; the text names field, value and expectation.
        """
        if strategy not in STRATEGIES:
            raise BadSettings(f"strategy: expected one of {', '.join(sorted(STRATEGIES))}, was {strategy!r}")
        self._name = strategy
        self._entry: Entry[Any] = STRATEGIES[strategy]
        self._trading_enabled = trading_enabled
        self._reduce_only = reduce_only
        self._static = dict(markets)
        self._live: dict[str, Mapping[str, Any]] = {}
        self._live_global = GlobalEntry()
        self._revision = 0
        self._plans: dict[str, Plan[Any]] = {}
        for market in (DEFAULT, *sorted(self._static)):
            self._make(market, self._static, self._live)

    @property
    def trading_enabled(self) -> bool:
        """Return the global flag as it stands."""
        live = self._live_global.trading_enabled
        return self._trading_enabled if live is None else live

    @property
    def revision(self) -> int:
        """Return the newest live revision that took effect."""
        return self._revision

    def of(self, market: str) -> Plan[Any]:
        """Return the plan of a market."""
        plan = self._plans.get(market)
        if plan is None:
            plan = self._plans[market] = self._make(market, self._static, self._live)
        return plan

    def apply(self, key: str, data: bytes, revision: int) -> bool:
        """Take a live entry and return whether the key is one of ours.

        Raises:
            BadSettings: The entry does not fit; nothing changed.
        """
        if key == GLOBAL_KEY:
            try:
                self._live_global = msgspec.json.decode(data or b"{}", type=GlobalEntry)
            except msgspec.DecodeError as e:
                raise BadSettings(str(e)) from None
        else:
            market = self._market_of(key)
            if market is None:
                return False
            try:
                entry = msgspec.json.decode(data or b"{}", type=dict[str, Any])
            except msgspec.DecodeError as e:
                raise BadSettings(str(e)) from None
            live = {**self._live, market: entry}
            others = sorted({*live, *self._static} - {DEFAULT}) if market == DEFAULT else []
            for name in (market, *others):
                self._make(name, self._static, live)
            self._live = live
        self._revision = max(self._revision, revision)
        self._plans.clear()
        return True

    @staticmethod
    def _market_of(key: str) -> str | None:
        if key == DEFAULT_KEY:
            return DEFAULT
        if not key.startswith(MARKET_PREFIX):
            return None
        try:
            return unescape(key[len(MARKET_PREFIX) :])
        except ValueError as e:
            raise BadSettings(str(e)) from None

    def _make(
        self, market: str, static: Mapping[str, Mapping[str, Any]], live: Mapping[str, Mapping[str, Any]]
    ) -> Plan[Any]:
        none: Mapping[str, Any] = {}
        layers = [static.get(DEFAULT, none), live.get(DEFAULT, none)]
        if market != DEFAULT:
            layers += [static.get(market, none), live.get(market, none)]
        try:
            settings: MarketSettings = combine(self._entry.settings, *layers)
        except BadSettings as e:
            raise BadSettings(f"markets.{market}.{e}") from None
        is_reducing = (
            self._reduce_only if self._live_global.reduce_only is None else self._live_global.reduce_only
        )
        if is_reducing and not settings.reduce_only:
            settings = msgspec.structs.replace(settings, reduce_only=True)
        digest = _hash(settings, trading_enabled=self.trading_enabled)
        return Plan(
            label=f"{self._name}/{self._entry.version}/{digest}",
            settings=settings,
            trading_enabled=self.trading_enabled,
            steps=self._steps(market, settings),
            revision=self._revision,
        )

    def _steps(self, market: str, settings: MarketSettings) -> tuple[Step[Any], ...]:
        steps: tuple[Step[Any], ...] = self._entry.steps
        optional = {step.name for step in steps if not step.protects}
        for name in settings.stages_off:
            if name not in optional:
                expected = ", ".join(sorted(optional))
                raise BadSettings(f"markets.{market}.stages_off: expected any of {expected}, was {name!r}")
        return tuple(step for step in steps if step.name not in settings.stages_off)


def _hash(settings: MarketSettings, *, trading_enabled: bool) -> str:
    data = msgspec.json.encode((settings, trading_enabled), order="sorted")
    return hashlib.sha256(data).hexdigest()[:8]

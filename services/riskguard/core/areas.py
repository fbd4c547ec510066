"""All areas, so that each event is handed around in one place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.riskguard.core.area import Area
from services.riskguard.core.conduct.observer import Conduct
from services.riskguard.core.health.observer import Health
from services.riskguard.core.limits import Limits
from services.riskguard.core.money.observer import Money
from services.riskguard.core.slow.observer import Slow


@dataclass(frozen=True, slots=True)
class Areas:
    """One of each."""

    money: Money
    conduct: Conduct
    health: Health
    slow: Slow

    @classmethod
    def under(cls, limits: Limits, env: str = "sim") -> Areas:
        """Return areas that have seen nothing; orders that carry ``env`` are ours."""
        conduct = Conduct(limits.conduct, env)
        return cls(Money(limits.money), conduct, Health(limits.health), Slow(limits.slow))

    def use(self, limits: Limits) -> None:
        """Go by these limits from now on; what `conduct` keeps is a window, which never changes."""
        self.money.limits, self.health.limits, self.slow.limits = limits.money, limits.health, limits.slow

    def __iter__(self) -> Iterator[Area]:
        """Return each area."""
        yield from (self.money, self.conduct, self.health, self.slow)

"""What we hold falls in price until the account's equity lies too far below its baseline.

The limit lies ten dollars below the equity as it stands; the hundred contracts held lose forty when
their bid falls from 0.45 to 0.05. Before that a hundred dollars leave by withdrawal, which is no drop.
"""

from __future__ import annotations

from libs.common.domain.side import Side
from tests.controls.counter import OURS
from tests.controls.rig import Rig
from tests.controls.standing import until_held

_QTY_E2 = 10_000
_ROOM_E6 = 10_000_000
_FALLEN_E4 = 500
_WITHDRAWN_E6 = 100_000_000

_market = ""


async def prepare(rig: Rig) -> None:
    """Hold something whose price can fall."""
    global _market  # noqa: PLW0603 - a provocation is a module with one life
    _market = await rig.fresh_market()
    await rig.venue.fill(_market, Side.BID, 5_000, _QTY_E2)
    await until_held(rig, _market, _QTY_E2)


async def limits(rig: Rig) -> dict[str, int]:
    """Return a limit that equity is ten dollars away from, once it has been judged."""
    await rig.until(lambda: _gauge(rig, "equity_e6"), "a riskguard that knows the balance")
    await rig.until_running()
    return {"money.balance_drop_e6": int(await _gauge(rig, "balance_drop_e6")) + _ROOM_E6}


async def provoke(rig: Rig) -> float:
    """Withdraw money, see that it changes nothing, and let the bid fall."""
    before_e6 = await rig.until(lambda: _gauge(rig, "equity_e6"), "a riskguard that knows the balance")
    await rig.venue.ask("fundings", {"account": OURS, "amount": "-100.00"})

    async def has_seen_it() -> bool:
        return bool(await _gauge(rig, "equity_e6") == before_e6 - _WITHDRAWN_E6)

    await rig.until(has_seen_it, "a riskguard that has seen the withdrawal")
    await rig.until_running()
    rig.market(_market).bid_e4 = _FALLEN_E4
    return await rig.played.say_tops()


async def relieve(rig: Rig) -> None:
    """Let it rise again, sell, and bring the money back."""
    rig.played.add(_market, 0)
    await rig.played.say_tops()
    await rig.venue.ask("fundings", {"account": OURS, "amount": "100.00"})
    await rig.venue.flatten(_market)


async def _gauge(rig: Rig, name: str) -> float:
    return (await rig.status("riskguard")).gauges[name]

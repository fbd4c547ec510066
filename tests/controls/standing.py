"""How the account stands by the riskguard's own word, for provocations whose limits depend on it."""

from __future__ import annotations

from typing import Any

from tests.controls.rig import Rig


async def standing(rig: Rig) -> dict[str, Any]:
    """Return what the riskguard's `limits` endpoint says there is now."""
    told: dict[str, Any] = (await rig.ask("riskguard", "limits"))["now"]
    return told


async def until_held(rig: Rig, market: str, qty_e2: int) -> None:
    """Wait until the riskguard has seen a position of this size."""

    async def is_held() -> bool:
        return bool((await standing(rig))["positions"].get(market, 0) == qty_e2)

    await rig.until(is_held, f"a riskguard that sees {qty_e2} in {market}")

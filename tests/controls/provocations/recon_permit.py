"""The reconciler closes its permit, as it does on a drift; the executor hears that as well."""

from __future__ import annotations

from tests.controls.rig import Rig


async def provoke(rig: Rig) -> float:
    """Vouch no more."""
    rig.played.is_recon_open = False
    rig.played.recon_reasons = ("provoked",)
    return await rig.played.say_permit()


async def relieve(rig: Rig) -> None:
    """Vouch again."""
    rig.played.is_recon_open = True
    rig.played.recon_reasons = ()
    await rig.played.say_permit()

"""Our own key may do too much or too little (requirement V14, kalshi-api 2.6)."""

from __future__ import annotations

from dataclasses import dataclass

from services.riskguard.core.limits import Limits
from services.riskguard.core.slow.view import can_move
from services.riskguard.core.triggers.base import Fired, View


@dataclass(frozen=True, slots=True)
class KeyScope:
    """Our own key may move funds where that is forbidden, or cannot cancel, or cannot read.

    The one slow killer that closes the permit before it was ever read: a key that could
    empty the account is worth a few seconds of not trading. A later reading that fails
    changes nothing. It opens by itself: a key of another scope is another key.
    """

    name: str = "key_scope"
    text: str = "our own key has the wrong scopes"
    is_latching: bool = False

    def check(self, view: View, limits: Limits) -> Fired | None:
        """Return how it fires, or None."""
        scopes, is_forbidden = view.slow.key_scopes, limits.slow.forbid_transfers
        faults = []
        if scopes is None:
            faults += ["nobody knows what it may do"] if is_forbidden else []
        else:
            faults += ["it may move funds"] if is_forbidden and can_move(scopes) else []
            faults += ["it may not read"] if "read" not in scopes else []
            faults += ["it may not cancel"] if scopes.isdisjoint(("write", "write::trade")) else []
        if not faults:
            return None
        return Fired(self.name, f"{self.text}: {', '.join(faults)}", 0, len(faults), self.is_latching)

"""Where the files of one world are. Everything lies under ``var/``, which git ignores."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
"""The checkout."""
CONFIG_ROOT: Final = ROOT / "deploy" / "config"

ACCOUNT: Final = "main"
"""What the services call the account that they trade."""
SERVICES: Final = ("marketdata", "strategy", "executor", "reconciler", "riskguard")


def var_root() -> Path:
    """Return ``var``; ``DORA_VAR`` moves it, so that two worlds can live in one checkout."""
    return Path(os.environ.get("DORA_VAR") or ROOT / "var").absolute()


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one world, named by environment, or ``demo`` for the demo's own."""

    name: str
    env: str

    @property
    def home(self) -> Path:
        """Return the folder that holds the world's data."""
        return var_root() / self.name

    @property
    def run_file(self) -> Path:
        """Return where addresses and process ids are written."""
        return var_root() / "run" / f"{self.env}.json"

    @property
    def nats(self) -> Path:
        """Return the NATS store."""
        return self.home / "nats"

    @property
    def credentials(self) -> Path:
        """Return the folder of password files, readable by the owner only."""
        return self.home / "credentials"

    @property
    def logs(self) -> Path:
        """Return the folder of logs, one file a service."""
        return var_root() / "log" / self.env

    @property
    def valkey(self) -> Path:
        """Return Valkey's working folder."""
        return self.home / "valkey"

    @property
    def venue(self) -> Path:
        """Return the simulated venue's folder, with its ``venue.json`` and keys."""
        return self.home / "venue"

    def state(self, service: str) -> Path:
        """Return a service's own folder, with its latch file."""
        return self.home / "state" / service

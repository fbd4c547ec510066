"""Run the simulated venue: ``python -m services.simexchange [--check-config]``."""

from __future__ import annotations

import os
import sys
from typing import Final

import msgspec
import uvloop

from libs.common.domain.ids import run_id
from libs.common.runtime.clock import SystemClock
from libs.common.runtime.config import load, redacted
from libs.common.runtime.errors import ConfigError
from libs.common.runtime.log import Identity, bot_version, set_up_logging
from services.simexchange.config import Config, check
from services.simexchange.wiring import find_liquidity, run

SERVICE: Final = "simexchange"
EXIT_CONFIG: Final = 2
EXIT_CRASH: Final = 70


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 after a signal, 2 for a wrong configuration, 70 after a crash."""
    if arguments not in ([], ["--check-config"]):
        sys.stderr.write("usage: python -m services.simexchange [--check-config]\n")
        return EXIT_CONFIG
    try:
        loaded = load(Config, SERVICE, os.environ)
        check(loaded.config)
        liquidity = find_liquidity(loaded.config)
    except ConfigError as e:
        sys.stderr.write(f"{e}\n")
        return EXIT_CONFIG
    config = loaded.config
    if arguments:
        shown = {"config": redacted(config), "hash": loaded.hash}
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode() + "\n")
        return 0
    instance = config.common.instance or f"{SERVICE}-{os.getpid()}"
    run_name = config.common.run_id or run_id(SystemClock().now_ns(), SERVICE)
    version = bot_version(os.environ)
    identity = Identity(SERVICE, config.common.env.value, version, run_name, instance)
    log = set_up_logging(identity, config.common.log_level, os.environ)
    log.event("STARTUP", config_hash=loaded.hash, tapes=[t.market.market for t in liquidity.tapes])
    try:
        uvloop.run(run(config, liquidity, log))
    except Exception as e:  # noqa: BLE001 - the outermost frame: log once and end
        log.event("ERROR", "the venue ended", level="ERROR", error=e)
        return EXIT_CRASH
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

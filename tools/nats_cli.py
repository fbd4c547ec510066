"""The stock ``nats`` command for tests of the README: found on the path, or built once with Go.

The product needs neither. ``tools/natscli/go.mod`` and ``go.sum`` pin what is built;
the program lands in ``var/tools``. Prints its path, or says why there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUILT = ROOT / "var" / "tools" / "nats"
BUILD_S = 600


class NoNatsCommand(Exception):  # noqa: N818 - named for what was found
    """There is none and none can be made; the text says why."""


def nats_command() -> Path:
    """Return the command.

    Raises:
        NoNatsCommand: With the reason.
    """
    if found := shutil.which("nats"):
        return Path(found)
    if os.access(BUILT, os.X_OK):
        return BUILT
    go = shutil.which("go")
    if go is None:
        raise NoNatsCommand("no `nats` on the path, and no Go to build it with")
    BUILT.parent.mkdir(parents=True, exist_ok=True)
    fresh = BUILT.with_name(f"nats.{os.getpid()}")
    done = subprocess.run(
        (go, "build", "-mod=readonly", "-o", str(fresh), "github.com/nats-io/natscli/nats"),
        cwd=ROOT / "tools" / "natscli",
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if done.returncode != 0:
        raise NoNatsCommand(f"`nats` could not be built: {done.stderr.strip()[-300:]}")
    fresh.replace(BUILT)
    return BUILT


if __name__ == "__main__":
    try:
        print(nats_command())
    except NoNatsCommand as e:
        print(e, file=sys.stderr)
        sys.exit(1)

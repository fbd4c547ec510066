"""The riskguard cannot create an order: import rules say so, and each of them fails when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.rest import VenueReader

ROOT = Path(__file__).resolve().parents[4]
BACK_DOOR = "libs/common/kalshi/back_door.py"
SENDER = "from libs.common.kalshi.order_sender import OrderSender as OrderSender\n"


def lint(folder: Path, contract: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--contract", contract],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the code with an import of each forbidden kind in the riskguard."""
    folder = tmp_path_factory.mktemp("planted")
    for name in ("libs", "services"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in (".importlinter", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / BACK_DOOR).write_text(SENDER)
    shell = folder / "services" / "riskguard" / "shell"
    (shell / "planted_sender.py").write_text(SENDER)
    (shell / "planted_behind.py").write_text("from libs.common.kalshi import back_door as back_door\n")
    (shell / "planted_line.py").write_text("from libs.common.kalshi.line import VenueLine as VenueLine\n")
    (shell / "planted_transport.py").write_text("from libs.common.kalshi import transport as transport\n")
    (shell / "planted_urllib.py").write_text("import urllib.request\n")
    (shell / "planted_httpx.py").write_text("import httpx\n")
    return folder


@pytest.mark.parametrize(
    ("contract", "plants"),
    [
        ("guard", ("planted_sender", "planted_behind")),
        ("guardlines", ("planted_urllib", "planted_httpx")),
        ("lines", ("planted_line", "planted_transport")),
    ],
)
def test_each_rule_is_broken_by_what_it_forbids(
    planted: Path, contract: str, plants: tuple[str, ...]
) -> None:
    done = lint(planted, contract)

    assert done.returncode == 1, done.stdout
    for plant in plants:
        assert f"services.riskguard.shell.{plant}" in done.stdout, (plant, done.stdout)


def test_the_code_as_it_is_breaks_none_of_them() -> None:
    for contract in ("guard", "guardlines", "lines"):
        done = lint(ROOT, contract)
        assert done.returncode == 0, done.stdout


def test_what_the_riskguards_clients_can_do_is_read_cancel_and_trigger() -> None:
    """A new method of either client must be looked at here before the riskguard has it."""
    cancels = {name for name in vars(Canceller) if not name.startswith("_")}
    reads = {name for kind in VenueReader.__mro__ for name in vars(kind) if not name.startswith("_")}
    words = ("create", "place", "amend", "decrease", "transfer", "send", "reset", "post")
    assert cancels == {
        "constant_routes",
        "trigger_route",
        "cancel",
        "cancel_batch",
        "cancel_all",
        "trigger_group",
    }
    assert not {name for name in reads if any(word in name for word in words)} - {"transfers"}

"""One world and one mutation server for all controls, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from libs.common.risk.registry import RULES
from libs.common.runtime.log import bot_version
from services.riskguard.core.triggers.registry import TRIGGERS
from tests.controls.mutation import Mutants, mutants
from tests.controls.table import OUT, Table
from tests.controls.world import World, a_world

_TABLE: Final = pytest.StashKey[Table]()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Yield the running rig."""
    with a_world(tmp_path_factory.mktemp("controls")) as it:
        yield it


@pytest.fixture(scope="session")
def mutation() -> Iterator[Mutants]:
    """Yield the process that runs unit files with a control unplugged."""
    with mutants() as it:
        yield it


@pytest.fixture(scope="session")
def table(request: pytest.FixtureRequest) -> Table:
    """Return the table that this session fills."""
    return request.config.stash.setdefault(_TABLE, Table())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, every control there is in it, and write it."""
    table = config.stash.get(_TABLE, None)
    if table is None:
        return
    everything = [(trigger.name, False) for trigger in TRIGGERS] + [(name, True) for name in RULES]
    table.write(everything, bot_version({}))
    terminalreporter.section("controls")
    for line in table.lines():
        terminalreporter.write_line(line)
    empty = [f"{row.name}: {', '.join(row.empty_cells())}" for row in table.controls if row.empty_cells()]
    terminalreporter.write_line(
        f"{len(table.controls)} controls, {len(empty)} with an empty cell, {OUT.name}"
    )
    for text in empty:
        terminalreporter.write_line(f"empty: {text}")

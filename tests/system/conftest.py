"""One living Dora for the tests that leave it as they found it: running."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.living import Living, living


@pytest.fixture(scope="session")
def dora_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    """Yield a `dora up --env sim` that has opened its gate by itself, as a fresh simulated world does."""
    with living(tmp_path_factory.mktemp("dora"), "up", "--env", "sim", "--seed", "7") as it:
        try:
            it.until_running(90)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{it.tail()}") from None
        yield it


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the takeovers go first: their leases are short, and a living Dora beside them takes the cores."""
    items.sort(key=lambda item: item.path.name != "test_takeover.py" and "system" in item.path.parts)

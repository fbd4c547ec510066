"""How old our credentials are, by the time at which their files were written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.riskguard.core.slow.limits import SlowLimits
from services.riskguard.core.slow.readings import FilesRead
from services.riskguard.core.slow.view import DAY_MS


class CredentialWatch:
    """The files of our venue key and of our name at the bus."""

    def __init__(self) -> None:
        self._written_ms: Mapping[str, int | None] = {}

    def on_files(self, read: FilesRead) -> None:
        """Take when the files were written."""
        self._written_ms = read.written_ms

    def ages_ms(self, now_ms: int) -> dict[str, int]:
        """Return how old each is; one that cannot be looked at has no age, one of tomorrow is new."""
        return {
            name: max(0, now_ms - written_ms)
            for name, written_ms in self._written_ms.items()
            if written_ms is not None
        }

    def warnings(self, limits: SlowLimits, now_ms: int) -> Iterator[tuple[str, str]]:
        """Return what people should know."""
        for name, written_ms in self._written_ms.items():
            if written_ms is None:
                yield f"{name} unseen", f"the file of the {name} cannot be looked at"
        for name, age_ms in self.ages_ms(now_ms).items():
            if age_ms > limits.credential_warn_days * DAY_MS:
                yield f"{name} old", f"the {name} is {age_ms // DAY_MS} days old"

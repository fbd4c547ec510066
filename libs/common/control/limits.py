"""Fold the changes of limits, so that everybody who has limits holds what the stream says.

Rules of the file:

* A change without a nonce tightens or does nothing; whoever says so is obeyed at once.
* A change with a nonce is a raise: it counts only if it names the newest change before it
  and was verified (`signing.py`), and only until its end. It goes up to the configured
  value and no further.
* Changes count in the order of the stream. One that has ended counts as if it had never
  been, so what was below it shows again.
* Smaller is tighter. What is not so (windows, samples, days left) is no limit that anybody
  may change while Dora runs: a record about it changes nothing, whoever stored it; see
  `services/riskguard/core/limit_changes.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from libs.common.messages.risk import LimitV1

L = TypeVar("L", bound=msgspec.Struct)

RAISE_MS_MAX: Final = 31 * 86_400_000
"""Longest that a raise may last: nobody remembers longer why it was right."""


@dataclass(frozen=True, slots=True)
class LimitNow:
    """One limit: what it is, what the configuration allows at most, and whose change holds it there."""

    name: str
    value: int
    cap: int
    change: LimitV1 | None = None
    sequence: int = 0


@dataclass(slots=True)
class LimitFold:
    """Every change of one account's limits.

    Attributes:
        account: Whose.
        is_changeable: Whether a limit of this name lets less through the smaller it is.
    """

    account: str
    is_changeable: Callable[[str], bool] = lambda _: True
    _changes: dict[int, tuple[LimitV1, int]] = field(default_factory=dict)
    _skipped: set[int] = field(default_factory=set)
    _by_name: dict[str, list[tuple[int, LimitV1, int]]] = field(default_factory=dict)
    _hash: str = ""

    @property
    def newest(self) -> int:
        """Return the stream sequence of the newest change, one that does not count included; 0 if none."""
        return max(max(self._changes, default=0), max(self._skipped, default=0))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the limits that were ever changed."""
        return tuple(sorted(self._by_name))

    def take(self, sequence: int, limit: LimitV1, from_ms: int = 0) -> bool:
        """Take a stored change, a raise only after it was verified; return whether it is new.

        Args:
            sequence: Its place in the stream.
            limit: The change.
            from_ms: When a raise begins to count, Unix.
        """
        assert sequence > 0, sequence
        if limit.scope != self.account or sequence in self._changes:
            return False
        self._changes[sequence] = (limit, from_ms)
        self._chain()
        return True

    def skip(self, sequence: int) -> None:
        """Take it that a stored change does not count; a raise that names another one before it is void."""
        self._skipped.add(sequence)
        self._chain()

    def forget(self) -> None:
        """Forget every change: the stream is another one."""
        self._changes.clear()
        self._skipped.clear()
        self._chain()

    def now(self, name: str, cap: int, now_ms: int) -> LimitNow:
        """Return a limit as it is now.

        Args:
            name: The limit, nested ones dotted.
            cap: Its configured value.
            now_ms: Wall clock.
        """
        found = LimitNow(name, cap, cap)
        if not self.is_changeable(name):
            return found
        for sequence, change, from_ms in self._by_name.get(name, ()):
            if now_ms < from_ms or (change.until_ms is not None and change.until_ms <= now_ms):
                continue
            value = max(0, change.value)
            if change.nonce:
                # Never looser than the configuration, whoever signed.
                value = min(value, cap)
            elif value >= found.value:
                continue
            found = LimitNow(name, value, cap, change, sequence)
        return found

    def applied(self, limits: L, now_ms: int) -> L:
        """Return limits of a configuration with all changes that hold now."""
        changed = {
            name: self.now(name, cap, now_ms).value
            for name, cap in flat(limits).items()
            if name in self._by_name
        }
        return _with(limits, changed) if changed else limits

    def hash(self) -> str:
        """Return what two holders of the same changes have in common: 12 hexadecimal digits."""
        if not self._hash:
            text = " ".join(
                f"{at}:{change.name}={change.value}/{change.until_ms}"
                for at, (change, _) in sorted(self._changes.items())
            )
            self._hash = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        return self._hash

    def _chain(self) -> None:
        self._hash = ""
        self._by_name.clear()
        before = 0
        for at in sorted(self._changes.keys() | self._skipped):
            if at in self._changes:
                change, from_ms = self._changes[at]
                if not change.nonce or change.after == before:
                    self._by_name.setdefault(change.name, []).append((at, change, from_ms))
            before = at


def flat(limits: msgspec.Struct, prefix: str = "") -> dict[str, int]:
    """Return every whole number of a struct of limits by its dotted name; switches are 0 and 1."""
    found: dict[str, int] = {}
    for name in limits.__struct_fields__:
        value = getattr(limits, name)
        if isinstance(value, msgspec.Struct):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, int):
            found[f"{prefix}{name}"] = int(value)
    return found


def _with(limits: L, changed: dict[str, int]) -> L:
    fields: dict[str, Any] = {}
    for path, value in changed.items():
        name, _, rest = path.partition(".")
        if rest:
            fields.setdefault(name, {})[rest] = value
        else:
            held = getattr(limits, name)
            fields[name] = bool(value) if isinstance(held, bool) else value
    for name, nested in fields.items():
        if isinstance(nested, dict):
            fields[name] = _with(getattr(limits, name), nested)
    return msgspec.structs.replace(limits, **fields)

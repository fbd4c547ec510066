"""Judge the ten items (D-134): pure, from facts that were gathered, each answer with its evidence.

What is not known has not passed. Evidence of another build proves nothing about
this one, except for acts that do not depend on it (a backup restored, an alert
delivered), which only grow old.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from libs.cli.preflight.records import APPROVERS, Record, is_signed
from libs.common.env import Env
from libs.common.kalshi.restricted import MAY_NOT
from libs.common.messages.health import StatusV1
from libs.common.messages.risk import ReconResultV1

REFUSES: Final = "refuses"
"""The kind of a rule of the gate, beside ``latches`` and ``pauses``."""
DAY_MS: Final = 86_400_000
_OLD_MS: Final = 30 * DAY_MS
REPORT_LIFE_MS: Final = DAY_MS
"""A report older than this does not start `live`."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the checklist."""

    number: int
    name: str
    is_passed: bool
    evidence: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `dora preflight` found, kept in ``var/preflight/<target>.json``."""

    target: str
    """The environment that it is meant for."""
    rehearsed_in: str
    """The environment whose running services were asked."""
    account: str
    build: str
    config: str
    """Hash over the target's configuration files."""
    at_ms: int
    items: tuple[Item, ...]

    @property
    def is_passed(self) -> bool:
        """Return whether all ten hold."""
        return len(self.items) == len(_JUDGES) and all(item.is_passed for item in self.items)


def control_key(name: str, *, is_rule: bool) -> str:
    """Return what names a control among triggers and rules; ``order_rate`` is both."""
    return f"gate.{name}" if is_rule else name


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``var/controls.json``; None is a cell that the last run left empty."""

    name: str
    kind: str
    unit_test: str | None
    gate_closed_ms: float | None
    bound_ms: float | None
    mutation_caught: bool | None
    tested_at: str
    commit: str

    @property
    def key(self) -> str:
        """Return its name among triggers and rules."""
        return control_key(self.name, is_rule=self.kind == REFUSES)

    @property
    def is_tested(self) -> bool:
        """Return whether it was tested at its edge, provoked within its bound, and would be missed."""
        in_time = (
            self.gate_closed_ms is not None
            and self.bound_ms is not None
            and self.gate_closed_ms <= self.bound_ms
        )
        return bool(self.unit_test) and in_time and self.mutation_caught is True


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the items look at.

    Attributes:
        now_ms: Unix milliseconds.
        build: The commit of this checkout, short.
        config: Hash over the target's configuration files.
        statuses: What each service said of itself, or why it did not.
        recon: The newest comparison, asked for just now, or why there is none.
        records: What is on record, or why it is not.
        controls: Every tested control, or why the table cannot be read.
        expected: Every control that there is, by `control_key`, or why nobody says.
        stop_page: Where the stop procedure is written down, with its hash; empty where it is not.
        settings: Each thing that the target's environment needs, and what is wrong with it (empty: nothing).
        approvers: Public keys by role.
    """

    now_ms: int
    build: str
    config: str
    statuses: Mapping[str, StatusV1 | str]
    recon: ReconResultV1 | str
    records: Mapping[str, Record | str]
    controls: Sequence[Control] | str = "nothing on record"
    expected: Collection[str] | str = "nobody was asked"
    stop_page: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    approvers: Mapping[str, Ed25519PublicKey] = field(default_factory=dict)


def judge(facts: Facts) -> tuple[Item, ...]:
    """Return all ten items in the order of the checklist."""
    items = []
    for number, (name, check) in enumerate(_JUDGES, 1):
        is_passed, evidence = check(facts)
        items.append(Item(number=number, name=name, is_passed=is_passed, evidence=evidence))
    return tuple(items)


def refusal(report: Report | str, *, now_ms: int, build: str, config: str, account: str) -> str:
    """Return why a report does not let `live` start, or an empty text."""
    if isinstance(report, str):
        return f"a fresh preflight: {report}"
    age_ms = now_ms - report.at_ms
    wrong = {
        f"a preflight of build {build}, was of {report.build}": report.build != build,
        "a preflight of this configuration, it changed since": report.config != config,
        f"a preflight of account {account}, was of {report.account}": report.account != account,
        f"a preflight at most {REPORT_LIFE_MS // 3_600_000} h old, was {age_ms // 3_600_000} h": not (
            0 <= age_ms <= REPORT_LIFE_MS
        ),
        f"a preflight for live, was for {report.target}": report.target != Env.LIVE.value,
        "a rehearsal at the exchange, was in the simulated one": report.rehearsed_in == Env.SIM.value,
        "all ten items passed, failed: "
        + ", ".join(item.name for item in report.items if not item.is_passed): not report.is_passed,
    }
    return "; ".join(text for text, is_wrong in wrong.items() if is_wrong)


Verdict = tuple[bool, str]


def _integrated(facts: Facts) -> Verdict:
    builds = {said.version for said in facts.statuses.values() if isinstance(said, StatusV1)}
    silent = [name for name, said in facts.statuses.items() if isinstance(said, str)]
    if silent or not builds:
        return False, f"silent: {', '.join(silent) or 'everything'}"
    if builds != {facts.build}:
        return False, f"services run {', '.join(sorted(builds))}, this checkout is {facts.build}"
    is_passed, evidence = _on_record(facts, "tests")
    return is_passed, f"{len(facts.statuses)} services of build {facts.build}; {evidence}"


def _killed(facts: Facts) -> Verdict:
    rows = facts.controls
    if isinstance(rows, str):
        return False, f"`make test-controls`: {rows}"
    other = sorted({row.commit for row in rows if row.commit != facts.build})
    if other or not rows:
        return False, f"controls were tested with {', '.join(other) or 'nothing'}, this is {facts.build}"
    if isinstance(facts.expected, str):
        return False, f"which controls there are: {facts.expected}"
    untested = set(facts.expected) - {row.key for row in rows}
    open_rows = [*(row.key for row in rows if not row.is_tested), *sorted(untested)]
    if open_rows:
        return False, f"not whole: {', '.join(open_rows)}"
    slowest = max(rows, key=_closed_ms)
    return True, f"{len(rows)} controls tested, slowest {slowest.name} {slowest.gate_closed_ms:.0f} ms"


def _closed_ms(row: Control) -> float:
    return row.gate_closed_ms or 0.0


def _documented(facts: Facts) -> Verdict:
    return bool(facts.stop_page), facts.stop_page or "no page says how to stop"


def _reconciled(facts: Facts) -> Verdict:
    result = facts.recon
    if isinstance(result, str):
        return False, result
    residuals = f"residuals {result.position_residual_e2} contracts (E2), {result.cash_residual_e6} cash (E6)"
    unsure = [error for error in result.errors if MAY_NOT not in error]
    is_clean = not (unsure or result.drifts or result.position_residual_e2 or result.cash_residual_e6)
    told = f"; {'; '.join(result.errors)}" if result.errors else ""
    return is_clean, f"cycle {result.cycle}: {len(result.drifts)} differences, {residuals}{told}"


def _configured(facts: Facts) -> Verdict:
    wrong = [f"{name}: {problem}" for name, problem in facts.settings.items() if problem]
    if wrong or not facts.settings:
        return False, "; ".join(wrong) or "nothing was looked at"
    return True, f"{len(facts.settings)} settings are there and private where they must be"


def _healthy(facts: Facts) -> Verdict:
    unwell = [
        f"{name}: {said if isinstance(said, str) else ', '.join(said.reasons) or said.state}"
        for name, said in facts.statuses.items()
        if isinstance(said, str) or not said.is_ready
    ]
    if unwell or not facts.statuses:
        return False, "; ".join(unwell) or "nothing runs"
    return True, f"{len(facts.statuses)} services are ready"


def _approved(facts: Facts) -> Verdict:
    wrong, who = [], []
    for role in APPROVERS:
        record, key = facts.records.get(role, "nothing on record"), facts.approvers.get(role)
        if isinstance(record, str):
            wrong.append(f"{role}: {record}")
        elif key is None:
            wrong.append(f"{role}: no public key is configured")
        elif not is_signed(record, key):
            wrong.append(f"{role}: the signature does not fit")
        elif record.build != facts.build or record.config != facts.config:
            wrong.append(f"{role}: approved another build or configuration")
        elif not 0 <= facts.now_ms - record.at_ms <= _OLD_MS:
            wrong.append(f"{role}: approved more than 30 days ago")
        else:
            who.append(f"{role} {record.by}")
    return not wrong, "; ".join(wrong) or f"approved by {', '.join(who)}"


def _on_record(facts: Facts, what: str, *, any_build: bool = False) -> Verdict:
    record = facts.records.get(what, "nothing on record")
    if isinstance(record, str):
        return False, f"{what}: {record}"
    age_days = (facts.now_ms - record.at_ms) / DAY_MS
    who = f" (says {record.by})" if record.by else ""
    evidence = f"{what}: {record.evidence}{who}, {age_days:.1f} days ago"
    if not record.is_passed:
        return False, f"failed: {evidence}"
    if record.build != facts.build and not any_build:
        return False, f"{evidence}, but with build {record.build}"
    if not 0 <= facts.now_ms - record.at_ms <= _OLD_MS:
        return False, f"{evidence}: too old"
    return True, evidence


_JUDGES: Final = (
    ("all parts integrated", _integrated),
    ("48 h without an error", lambda facts: _on_record(facts, "soak")),
    ("alerts arrive", lambda facts: _on_record(facts, "webhook", any_build=True)),
    ("backups restored", lambda facts: _on_record(facts, "backup", any_build=True)),
    ("kill switch tested", _killed),
    ("stop procedure documented", _documented),
    ("reconciler clean", _reconciled),
    ("environment set", _configured),
    ("health", _healthy),
    ("client approval", _approved),
)

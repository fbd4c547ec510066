"""Each item: passed with its evidence, open without, open with evidence of another build or age."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.cli.preflight import gather, records
from libs.cli.preflight.items import DAY_MS, Control, Facts, Report, judge, refusal
from libs.cli.preflight.records import Record
from libs.common.messages.health import StatusV1
from libs.common.messages.risk import DriftV1, ReconResultV1

NOW_MS = 1_800_000_000_000
BUILD, CONFIG = "abc1234", "0123456789ab"
KEYS = {role: Ed25519PrivateKey.generate() for role in records.APPROVERS}
NAMES = {
    1: "all parts integrated",
    2: "48 h without an error",
    3: "alerts arrive",
    4: "backups restored",
    5: "kill switch tested",
    6: "stop procedure documented",
    7: "reconciler clean",
    8: "environment set",
    9: "health",
    10: "client approval",
}


def status(service: str, **changes: object) -> StatusV1:
    said = StatusV1(
        service=service,
        instance="1",
        run="r",
        env="demo",
        version=BUILD,
        account="main",
        config_hash="",
        uptime_s=1,
        is_ready=True,
        state="running",
        reasons=(),
        counters={},
        gauges={},
        rss_mb=1.0,
    )
    return msgspec.structs.replace(said, **changes)


def result(**changes: object) -> ReconResultV1:
    agreed = ReconResultV1(
        account="main",
        cycle=7,
        epoch=1,
        reason="request",
        orphaned_detected=0,
        ghost_detected=0,
        reconciled=3,
        errors=(),
        drifts=(),
        position_residual_e2=0,
        cash_residual_e6=0,
        took_ms=1,
        as_of_ns=0,
    )
    return msgspec.structs.replace(agreed, **changes)


def record(what: str, **changes: object) -> Record:
    made = Record(what=what, build=BUILD, at_ms=NOW_MS - DAY_MS, is_passed=True, evidence="seen")
    return msgspec.structs.replace(made, **changes)


def approval(role: str, key: Ed25519PrivateKey | None = None, **changes: object) -> Record:
    return records.approved(record(role, config=CONFIG, by="ann", **changes), key or KEYS[role])


def control(**changes: object) -> Control:
    tested = Control(
        name="daily_loss_limit",
        kind="latches",
        unit_test="tests/x.py",
        gate_closed_ms=120.0,
        bound_ms=1_000.0,
        mutation_caught=True,
        tested_at="2026-11-21T00:00:00Z",
        commit=BUILD,
    )
    return msgspec.structs.replace(tested, **changes)


READY = Facts(
    now_ms=NOW_MS,
    build=BUILD,
    config=CONFIG,
    statuses={"executor": status("executor"), "riskguard": status("riskguard")},
    recon=result(),
    records={
        "tests": record("tests"),
        "soak": record("soak"),
        "webhook": record("webhook", build="another"),
        "backup": record("backup", build="another"),
        **{role: approval(role) for role in records.APPROVERS},
    },
    controls=(control(),),
    expected={"daily_loss_limit"},
    stop_page="docs/stop.md, sha256 1",
    settings={"executor.toml": "", "venue key": ""},
    approvers={role: key.public_key() for role, key in KEYS.items()},
)


def having(**changed: Record | str) -> Facts:
    return replace(READY, records={**READY.records, **changed})


def test_all_ten_pass_with_evidence() -> None:
    items = judge(READY)
    assert {item.number: item.name for item in items} == NAMES
    assert all(item.is_passed and item.evidence for item in items)


DRIFT = DriftV1(
    kind="order",
    market="M",
    key="k",
    executor_says="",
    drop_copy_says="",
    listing_says="",
    odd_one_out="",
    action="alert",
)
OPEN = {
    "a silent service": (1, replace(READY, statuses={**READY.statuses, "strategy": "no answer"})),
    "services of another build": (
        1,
        replace(READY, statuses={"executor": status("executor", version="old")}),
    ),
    "nothing runs": (1, replace(READY, statuses={})),
    "tests that failed": (1, having(tests=record("tests", is_passed=False))),
    "tests of another build": (1, having(tests=record("tests", build="old"))),
    "no soak": (2, having(soak="nothing on record")),
    "a soak of another build": (2, having(soak=record("soak", build="old"))),
    "an alert long ago": (3, having(webhook=record("webhook", at_ms=NOW_MS - 31 * DAY_MS))),
    "an alert from the future": (3, having(webhook=record("webhook", at_ms=NOW_MS + 1))),
    "a failed restore": (4, having(backup=record("backup", is_passed=False))),
    "no table of controls": (5, replace(READY, controls="nothing on record")),
    "an empty table": (5, replace(READY, controls=())),
    "a control nobody would miss": (5, replace(READY, controls=(control(mutation_caught=False),))),
    "controls of another build": (5, replace(READY, controls=(control(), control(commit="old")))),
    "a control that was too slow": (5, replace(READY, controls=(control(gate_closed_ms=1_001.0),))),
    "a control that nothing provoked": (5, replace(READY, controls=(control(gate_closed_ms=None),))),
    "a control that is not in the table": (5, replace(READY, expected={"daily_loss_limit", "max_drawdown"})),
    "a rule behind a trigger's name": (
        5,
        replace(READY, expected={"daily_loss_limit", "gate.daily_loss_limit"}),
    ),
    "nobody says which controls there are": (5, replace(READY, expected="silent")),
    "no stop page": (6, replace(READY, stop_page="")),
    "no comparison": (7, replace(READY, recon="silent")),
    "a difference": (7, replace(READY, recon=result(drifts=(DRIFT,)))),
    "a balance that was not told": (7, replace(READY, recon=result(errors=("the balance was not told",)))),
    "a cent": (7, replace(READY, recon=result(cash_residual_e6=1))),
    "a hundredth of a contract": (7, replace(READY, recon=result(position_residual_e2=-1))),
    "a key that others can read": (8, replace(READY, settings={"venue key": "mode 0644"})),
    "no settings looked at": (8, replace(READY, settings={})),
    "a service that is not ready": (
        9,
        replace(READY, statuses={"executor": status("executor", is_ready=False, reasons=("starting",))}),
    ),
    "no approval of the client": (10, having(client="nothing on record")),
    "an approval signed by the other": (10, having(client=approval("client", KEYS["risk_lead"]))),
    "an approval changed afterwards": (
        10,
        having(client=msgspec.structs.replace(approval("client"), build=BUILD, evidence="more")),
    ),
    "an approval of another build": (10, having(risk_lead=approval("risk_lead", build="old"))),
    "an approval of another configuration": (
        10,
        replace(READY, config="ffff", records=READY.records),
    ),
    "nobody's key is configured": (10, replace(READY, approvers={})),
}


def test_a_list_that_the_key_has_no_right_to_is_told_and_opens_nothing() -> None:
    item = judge(replace(READY, recon=result(errors=("deposits may not be read: 403 forbidden",))))[6]
    assert item.is_passed
    assert "deposits may not be read" in item.evidence


@pytest.mark.parametrize("role", ["risk_lead", "client"])
def test_one_key_approves_for_one_role(tmp_path: Path, role: str) -> None:
    publics = {one: KEYS[one].public_key().public_bytes_raw() for one in records.APPROVERS}
    lines = [f'{one} = "{base64.b64encode(key).decode()}"' for one, key in publics.items()]
    (tmp_path / "approvers.toml").write_text("\n".join(lines))
    assert gather.approvers_of(tmp_path)[1] == ""
    lines = [f'{one} = "{base64.b64encode(publics[role]).decode()}"' for one in records.APPROVERS]
    (tmp_path / "approvers.toml").write_text("\n".join(lines))
    assert gather.approvers_of(tmp_path) == ({}, "has one key for two roles")


@pytest.mark.parametrize("what", OPEN)
def test_an_item_is_open(what: str) -> None:
    number, facts = OPEN[what]
    item = judge(facts)[number - 1]
    assert not item.is_passed
    assert item.evidence


def report(facts: Facts = READY, **changes: object) -> Report:
    made = Report(
        target="live",
        rehearsed_in="demo",
        account="main",
        build=BUILD,
        config=CONFIG,
        at_ms=NOW_MS - 1_000,
        items=judge(facts),
    )
    return msgspec.structs.replace(made, **changes)


def refused(made: Report | str) -> str:
    return refusal(made, now_ms=NOW_MS, build=BUILD, config=CONFIG, account="main")


def test_a_fresh_report_of_this_build_lets_live_start() -> None:
    assert refused(report()) == ""


@pytest.mark.parametrize(
    "made",
    [
        "none was made",
        report(having(soak="nothing on record")),
        report(build="old"),
        report(config="other"),
        report(account="another"),
        report(target="demo"),
        report(rehearsed_in="sim"),
        report(at_ms=NOW_MS - DAY_MS - 1),
        report(at_ms=NOW_MS + 1),
        report(items=()),
        report(items=judge(READY)[:9]),
    ],
)
def test_anything_else_does_not(made: Report | str) -> None:
    assert refused(made)


def test_a_record_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert records.read(tmp_path, "soak") == "nothing on record"
    path = records.write(tmp_path, record("soak"))
    assert records.read(tmp_path, "soak") == record("soak")
    path.rename(records.path_of(tmp_path, "backup"))
    assert "a record of soak" in str(records.read(tmp_path, "backup"))
    path.write_bytes(b"{")
    assert "cannot be read" in str(records.read(tmp_path, "soak"))

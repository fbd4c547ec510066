"""Every line is one JSON object with the same fields, whatever is logged."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.runtime.context import bound
from libs.common.runtime.log import EventLog, Identity, JsonFormatter, bot_version, set_up_logging

WHO = Identity("executor", "sim", "abc1234", "20261121-101112-abc", "1")
PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PEM = "-----BEGIN PRIVATE KEY-----\nMIIcanaryCANARY\nabc\n-----END PRIVATE KEY-----"


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    root.handlers = []
    yield io.StringIO()
    root.handlers, root.level, logging.raiseExceptions = before, level, raising
    logging.captureWarnings(capture=False)
    logging.getLogger("dora").setLevel(logging.NOTSET)


def raised(error: Exception) -> Exception:
    try:
        raise error
    except type(error) as e:
        return e


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_has_the_fields_of_the_requirements(out: io.StringIO) -> None:
    log = set_up_logging(WHO, "INFO", {}, out)
    with bound(decision_id="r:A:7", market="A"):
        log.event(
            "ORDER_RESULT", status="ACCEPTED", order_id="o1", side="yes", size=Decimal("1.50"), latency_ms=12
        )
    line = lines(out)[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line == {
        "level": "INFO",
        "service": "executor",
        "env": "sim",
        "bot_version": "abc1234",
        "bot_run_id": "20261121-101112-abc",
        "instance_id": "1",
        "event_type": "ORDER_RESULT",
        "message": "what the venue answered",
        "decision_id": "r:A:7",
        "market": "A",
        "status": "ACCEPTED",
        "order_id": "o1",
        "side": "yes",
        "size": "1.50",
        "latency_ms": 12,
    }


@given(st.dictionaries(st.text(min_size=1), PAYLOADS, max_size=5), st.text())
def test_any_payload_is_one_line_of_json(fields: dict[str, Any], text: str) -> None:
    record = logging.LogRecord("dora", logging.INFO, "", 0, text, (), None)
    record.dora_fields = fields
    line = JsonFormatter(WHO).format(record)
    assert "\n" not in line
    assert "\r" not in line
    parsed = json.loads(line)
    assert parsed["service"] == "executor"
    assert set(parsed) >= {"ts", "level", "message", "event_type", "bot_run_id"}


def test_a_payload_that_contains_itself_is_still_a_line(out: io.StringIO) -> None:
    log = set_up_logging(WHO, "INFO", {}, out)
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    log.event("ERROR", payload=loop, lone="\ud800")
    assert lines(out)[0]["event_type"] == "ERROR"


def test_a_field_cannot_take_the_place_of_a_fixed_one(out: io.StringIO) -> None:
    set_up_logging(WHO, "INFO", {}, out).event("ERROR", service="other", ts="now")
    line = lines(out)[0]
    assert (line["service"], line["field_service"], line["field_ts"]) == ("executor", "other", "now")


def test_an_error_has_type_text_and_stack(out: io.StringIO) -> None:
    log = set_up_logging(WHO, "INFO", {}, out)
    EventLog.error(log, "could not", raised(KeyError("gone")), market="A")
    line = lines(out)[0]
    assert (line["error_type"], line["error_msg"], line["market"]) == ("KeyError", "'gone'", "A")
    assert "test_log.py" in line["stack"]


def test_an_event_type_outside_the_registry_is_written_and_marked(out: io.StringIO) -> None:
    set_up_logging(WHO, "INFO", {}, out).event("NO_SUCH_EVENT")
    line = lines(out)[0]
    assert (line["event_type"], line["event_name"]) == ("UNREGISTERED", "NO_SUCH_EVENT")


def test_what_floods_in_is_counted_in_full_and_logged_a_few_times(out: io.StringIO) -> None:
    log = set_up_logging(WHO, "INFO", {}, out)
    counts = [log.once("BookV1: no market", "MALFORMED") for _ in range(250)]
    assert counts[-1] == 250
    assert [line["count"] for line in lines(out)] == [1, 10, 100]


def test_kinds_that_an_outsider_invents_do_not_grow_without_bound(out: io.StringIO) -> None:
    log = set_up_logging(WHO, "INFO", {}, out)
    for number in range(5_000):
        log.once(f"kind {number}", "MALFORMED")
    assert len(log._kinds) <= 1_001


def test_secrets_are_taken_out_by_name_and_by_look(out: io.StringIO) -> None:
    log = set_up_logging(WHO, "INFO", {}, out)
    headers = {"KALSHI-ACCESS-KEY": "canary1", "KALSHI-ACCESS-SIGNATURE": "canary2+/=", "Accept": "all"}
    log.event(
        "ERROR", f"sent {headers} with {PEM}", password="canary3", request={"headers": headers}, pem=PEM
    )
    log.event("ERROR", "nats://user:canary4@host:4222", key_file="/canary5", seed="canary6")
    logging.getLogger("nats").warning("CONNECT %s", PEM)
    log.event("ERROR", error=raised(ValueError(f"bad key {PEM}")))
    text = out.getvalue()
    assert "canary" not in text
    assert "CANARY" not in text
    assert len(lines(out)) == 4
    assert lines(out)[0]["request"]["headers"]["Accept"] == "all"


def test_libraries_speak_from_warning_on_and_in_the_same_form(out: io.StringIO) -> None:
    set_up_logging(WHO, "DEBUG", {}, out)
    logging.getLogger("httpx").info("quiet")
    logging.getLogger("httpx").warning("loud %s", 1)
    logging.getLogger("httpx").warning("does not fit %d", "text")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    said = [(line["logger"], line["event_type"]) for line in lines(out)]
    assert said == [("httpx", "LIBRARY"), ("httpx", "LIBRARY"), ("py.warnings", "LIBRARY")]


def test_the_level_can_be_changed_and_a_wrong_one_is_refused(out: io.StringIO) -> None:
    log = set_up_logging(WHO, "INFO", {}, out)
    log.event("ERROR", level="DEBUG")
    log.set_level("DEBUG")
    log.event("ERROR", level="DEBUG")
    assert (log.level, len(lines(out))) == ("DEBUG", 1)
    with pytest.raises(ValueError, match="LOUD"):
        log.set_level("LOUD")


def test_a_file_is_written_beside_the_console_except_in_a_container(out: io.StringIO, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "dora.log"
    set_up_logging(WHO, "INFO", {"DORA_LOG_FILE": str(path), "CONTAINER_MODE": "true"}, out).event("STARTUP")
    assert not path.exists()
    set_up_logging(WHO, "INFO", {"DORA_LOG_FILE": str(path)}, out).event("STARTUP")
    assert json.loads(path.read_text())["event_type"] == "STARTUP"
    for handler in logging.getLogger().handlers:
        handler.close()


def test_the_version_is_the_given_one_or_the_checkouts_or_unknown() -> None:
    assert bot_version({"BOT_VERSION": "v9"}) == "v9"
    assert re.fullmatch(r"[0-9a-f]{7}|unknown", bot_version({}))


def test_a_log_without_set_up_writes_to_whoever_listens() -> None:
    EventLog().event("ERROR", "nobody set this up")

"""The subject table keeps its own rules."""

from __future__ import annotations

import pytest

import libs.common.messages.control
import libs.common.messages.execution
import libs.common.messages.health
import libs.common.messages.market
import libs.common.messages.risk
import libs.common.messages.target
from libs.common.bus.match import overlaps
from libs.common.env import Env
from libs.common.subjects import FAMILIES, Carriage, Stream, Subjects, escape, unescape
from tools.generate_subjects import TARGET, render

CONTROL = ("ctl.halt", "ctl.resume")


def test_a_strike_with_a_point_is_one_token() -> None:
    subject = Subjects(Env.PAPER).of("md.book", "KXHIGHNY-26NOV21-B52.5")
    assert subject == "dora.paper.md.book.KXHIGHNY-26NOV21-B52=2E5"


@pytest.mark.parametrize("token", ["", "a.b", "a=2", "a=2e", "=41", "a b", "=FF", "é"])
def test_a_token_that_escaping_never_makes_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"escaped key|decode"):
        unescape(token)


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one character"):
        escape("")


def test_every_family_has_one_writing_service_except_the_control_families() -> None:
    for family in FAMILIES:
        if family.name not in CONTROL:
            assert len(family.publishers) == 1, family.name


def test_no_family_is_inside_another() -> None:
    subjects = Subjects(Env.SIM)
    patterns = [subjects.all_of(family.name) for family in FAMILIES]
    assert len(set(patterns)) == len(patterns)
    for place, one in enumerate(patterns):
        assert not any(overlaps(one, other) for other in patterns[place + 1 :])


def test_a_family_that_travels_by_stream_names_its_stream_and_replies_name_none() -> None:
    for family in FAMILIES:
        if family.carriage is Carriage.STREAM:
            assert family.stream is not None, family.name
        if family.carriage is Carriage.REPLY:
            assert family.stream is None


def test_every_schema_of_the_table_is_a_message() -> None:
    modules = [
        getattr(libs.common.messages, name) for name in dir(libs.common.messages) if not name.startswith("_")
    ]
    for family in FAMILIES:
        name = family.schema.split(" ", 1)[0]
        assert not name or any(hasattr(module, name) for module in modules), family.name


def test_streams_of_environments_have_different_names_and_subjects() -> None:
    seen: set[str] = set()
    for env in Env:
        for stream in Stream:
            seen.add(Subjects(env).stream_name(stream))
            assert all(f".{env.value}." in subject for subject in Subjects(env).stream_subjects(stream))
    assert len(seen) == len(Env) * len(Stream)


def test_the_generated_page_says_what_the_tables_say() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run `make docs`"

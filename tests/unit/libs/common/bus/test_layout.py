"""The layout keeps the promises that safety rests on."""

from __future__ import annotations

import pytest

from libs.common.bus.layout import STREAMS, bucket_config, stream_config, stream_of
from libs.common.env import Env
from libs.common.subjects import FAMILIES, Stream, Subjects

SIM = Subjects(Env.SIM)


def test_no_stream_may_be_deleted_from_and_none_answers_before_it_wrote() -> None:
    for env in Env:
        for spec in STREAMS:
            config = stream_config(Subjects(env), spec, 1)
            assert (config["deny_delete"], config["deny_purge"], config["storage"]) == (True, True, "file")
            assert "persist_mode" not in config


def test_what_decides_is_read_from_the_leader_and_refuses_when_full() -> None:
    for spec in STREAMS:
        if spec.stream in (Stream.CONTROL, Stream.EXEC):
            config = stream_config(SIM, spec, 3)
            assert (config["allow_direct"], config["mirror_direct"], config["discard"]) == (
                False,
                False,
                "new",
            )
            assert config["max_age"] == 0
    assert bucket_config(Env.SIM, 1)["allow_direct"] is False


def test_every_family_of_a_stream_is_captured_by_it_alone() -> None:
    for family in FAMILIES:
        name = stream_of(SIM, SIM.of(family.name, "x"))
        assert name == (SIM.stream_name(family.stream) if family.stream is not None else None)


def test_a_pattern_belongs_to_one_stream_to_none_or_is_refused() -> None:
    assert stream_of(SIM, "dora.sim.exec.>") == "SIM_EXEC"
    assert stream_of(SIM, "dora.sim.ctl.>") == "SIM_CONTROL"
    assert stream_of(SIM, "$KV.sim-cfg.strategy.>") == "KV_sim-cfg"
    assert stream_of(SIM, "dora.demo.exec.>") is None
    with pytest.raises(ValueError, match="within one stream"):
        stream_of(SIM, "dora.sim.>")

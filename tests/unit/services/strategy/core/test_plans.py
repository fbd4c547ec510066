from __future__ import annotations

import msgspec
import pytest

from services.strategy.core.plans import Plans
from services.strategy.core.settings import BadSettings

_DEFAULT = {"size_e2": 1_000, "inventory_e2_max": 5_000}


def _plans(**markets: dict[str, object]) -> Plans:
    return Plans("dora-maker", {"default": _DEFAULT, **markets}, trading_enabled=False, reduce_only=False)


def test_everything_is_off_until_said() -> None:
    plan = _plans().of("A")
    assert not plan.trading_enabled
    assert not plan.settings.enabled


def test_a_markets_entry_goes_above_the_default_field_by_field() -> None:
    plans = _plans(A={"enabled": True, "size_e2": 50})
    assert (plans.of("A").settings.size_e2, plans.of("A").settings.inventory_e2_max) == (50, 5_000)
    assert plans.of("B").settings.size_e2 == 1_000


def test_live_entries_go_above_static_ones_and_name_their_revision() -> None:
    plans = _plans(A={"size_e2": 50})
    assert plans.apply("strategy.default", b'{"enabled":true,"size_e2":70}', 4)
    assert plans.apply("strategy.market.A", b'{"inventory_e2_max":7}', 5)
    assert plans.apply("strategy.global", b'{"trading_enabled":true}', 6)
    plan = plans.of("A")
    # The market's static entry is nearer to it than the live default.
    assert (plan.settings.size_e2, plan.settings.inventory_e2_max, plan.settings.enabled) == (50, 7, True)
    assert plans.of("B").settings.size_e2 == 70
    assert plan.trading_enabled
    assert plan.revision == plans.revision == 6


def test_a_market_with_a_point_in_its_name_is_escaped_in_its_key() -> None:
    plans = _plans()
    plans.apply("strategy.market.KXT-B50=2E5", b'{"size_e2":3}', 1)
    assert plans.of("KXT-B50.5").settings.size_e2 == 3


def test_an_empty_entry_takes_back_what_the_one_before_said() -> None:
    plans = _plans()
    plans.apply("strategy.market.A", b'{"size_e2":3}', 1)
    plans.apply("strategy.market.A", b"", 2)
    assert plans.of("A").settings.size_e2 == 1_000


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("strategy.default", b'{"size_e2":-1}'),
        ("strategy.default", b'{"sizes":1}'),
        ("strategy.default", b"not json"),
        ("strategy.default", b'{"stages_off":["snap"]}'),
        ("strategy.default", b'{"stages_off":["no_such_stage"]}'),
        ("strategy.global", b'{"trading_enabled":"yes"}'),
        ("strategy.global", b'{"unknown":1}'),
        ("strategy.market.=zz", b"{}"),
    ],
)
def test_an_entry_that_does_not_fit_changes_nothing(key: str, data: bytes) -> None:
    plans = _plans()
    before = plans.of("A")
    with pytest.raises(BadSettings):
        plans.apply(key, data, 9)
    assert plans.of("A") == before
    assert plans.revision == 0


def test_a_default_that_breaks_a_market_is_refused() -> None:
    plans = _plans(A={"scale_e4": 10_000})
    with pytest.raises(BadSettings, match=r"markets\.default\.size_e2: expected int >= 0, was -3"):
        plans.apply("strategy.default", b'{"size_e2":-3}', 1)


def test_keys_of_others_are_not_ours() -> None:
    assert not _plans().apply("executor.limits", b"not even json", 3)


def test_quantities_must_be_said() -> None:
    with pytest.raises(BadSettings, match=r"markets\.default\.inventory_e2_max: required"):
        Plans("dora-maker", {"default": {"size_e2": 1}}, trading_enabled=False, reduce_only=False)


def test_an_unknown_strategy_is_refused_with_those_there_are() -> None:
    with pytest.raises(BadSettings, match="dora-maker, join-best"):
        Plans("nope", {"default": _DEFAULT}, trading_enabled=False, reduce_only=False)


def test_the_label_changes_with_the_settings_and_only_then() -> None:
    one, same = _plans(), _plans()
    other = _plans(A={"size_e2": 999})
    assert one.of("A").label == same.of("A").label
    assert one.of("A").label != other.of("A").label
    assert one.of("B").label == other.of("B").label
    same.apply("strategy.global", msgspec.json.encode({"trading_enabled": True}), 1)
    assert one.of("A").label != same.of("A").label


def test_a_global_reduce_only_reaches_every_market() -> None:
    plans = _plans()
    plans.apply("strategy.global", b'{"reduce_only":true}', 1)
    assert plans.of("A").settings.reduce_only

"""Configuration names what is wrong and never guesses."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from libs.common.env import Env
from libs.common.runtime.config import Common, Venue, load, redacted
from libs.common.runtime.errors import ConfigError


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    exposure_e6_max: int
    ratio: float = 0.5
    markets: tuple[str, ...] = ()
    by_series: dict[str, int] = {}


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    common: Common = Common()
    venue: Venue = Venue()
    limits: Limits


class Keyless(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    common: Common = Common()


LIMIT = {"DORA__LIMITS__EXPOSURE_E6_MAX": "0"}


def toml(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return {"DORA_CONFIG": str(path)}


def refusal(environ: dict[str, str], kind: type[msgspec.Struct] = Config) -> str:
    with pytest.raises(ConfigError) as refused:
        load(kind, "executor", environ)
    return str(refused.value)


def test_a_limit_has_no_default_and_zero_is_zero() -> None:
    assert refusal({}) == "limits: required, has no default, was missing"
    assert load(Config, "executor", LIMIT).config.limits.exposure_e6_max == 0


def test_a_missing_field_of_a_section_is_named_with_its_section(tmp_path: Path) -> None:
    environ = toml(tmp_path, "[limits]\nratio = 0.1\n")
    assert refusal(environ) == "limits.exposure_e6_max: required, has no default, was missing"


def test_environment_beats_file_beats_default(tmp_path: Path) -> None:
    environ = toml(tmp_path, '[limits]\nexposure_e6_max = 5\nratio = 0.25\n[common]\naccount = "file"\n')
    environ |= {"DORA__LIMITS__RATIO": "0.75", "DORA_ACCOUNT": "alias", "NATS_URL": "nats://short:1"}
    config = load(Config, "executor", environ).config
    assert (config.limits.exposure_e6_max, config.limits.ratio) == (5, 0.75)
    assert (config.common.account, config.common.nats_url) == ("alias", "nats://short:1")
    environ["DORA__COMMON__ACCOUNT"] = "long"
    assert load(Config, "executor", environ).config.common.account == "long"
    assert config.common.env is Env.SIM


def test_values_of_the_environment_become_the_type_of_their_field() -> None:
    environ = LIMIT | {
        "DORA__LIMITS__MARKETS": "A-1.5, B",
        "DORA__LIMITS__BY_SERIES": '{"KXBTC": 3}',
        "DORA_ENV": "paper",
        "DORA_METRICS_PORT": "0",
    }
    config = load(Config, "executor", environ).config
    assert config.limits.markets == ("A-1.5", "B")
    assert config.limits.by_series == {"KXBTC": 3}
    assert config.common.env is Env.PAPER
    environ["DORA__LIMITS__BY_SERIES__KXETH"] = "7"
    assert load(Config, "executor", environ).config.limits.by_series == {"KXBTC": 3, "KXETH": 7}


@pytest.mark.parametrize(
    ("environ", "text"),
    [
        ({"DORA__LIMITS__EXPOSURE_E6_MAX": "lots"}, "limits.exposure_e6_max: expected int, was 'lots'"),
        ({"DORA__LIMITS__EXPOSURE_E6_MAX": "1.5"}, "limits.exposure_e6_max: expected int, was '1.5'"),
        ({"DORA__LIMITS__EXPOSURE_E6_MAX": ""}, "limits.exposure_e6_max: expected int, was ''"),
        ({"DORA__LIMITS__RATIO": "half"}, "limits.ratio: expected float, was 'half'"),
        ({"DORA__LIMIT__RATIO": "1"}, "limit.ratio: unknown field, set by DORA__LIMIT__RATIO"),
        ({"DORA__COMMON__METRICS_PORT": "70000"}, "common.metrics_port: expected int <= 65535, was '70000'"),
        ({"DORA__COMMON__HEARTBEAT_LOG_S": "0"}, "common.heartbeat_log_s: expected float > 0.0, was '0'"),
        ({"DORA_ENV": "prod"}, "common.env: invalid enum value 'prod', was 'prod' (set by DORA_ENV)"),
        ({"DORA_CONFIG": "/no/such"}, "DORA_CONFIG: expected a readable TOML file, was '/no/such'"),
    ],
)
def test_a_wrong_value_is_refused_with_field_value_and_expectation(
    environ: dict[str, str], text: str
) -> None:
    assert refusal(LIMIT | environ).startswith(text)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("[limits]\nexposure_e6_max = 1\nexposure = 2", "limits.exposure: unknown field"),
        ("[limit]\nx = 1\n[limits]\nexposure_e6_max = 1", "limit: unknown field"),
        ('[limits]\nexposure_e6_max = "1"', "limits.exposure_e6_max: expected int, was '1'"),
        ("[limits]\nexposure_e6_max = true", "limits.exposure_e6_max: expected int, was True"),
        ("limits = 3", "limits: expected object, was 3"),
        ("[limits", "DORA_CONFIG: expected TOML in"),
        ('[limits]\nexposure_e6_max = 1\nmarkets = ["a", 2]', "limits.markets[1]: expected str, was 2"),
    ],
)
def test_a_wrong_file_is_refused_the_same_way(tmp_path: Path, body: str, text: str) -> None:
    assert refusal(toml(tmp_path, body)).startswith(text)


def test_a_folder_holds_one_file_for_each_service(tmp_path: Path) -> None:
    (tmp_path / "executor.toml").write_text("[limits]\nexposure_e6_max = 9\n")
    assert load(Config, "executor", {"DORA_CONFIG": str(tmp_path)}).config.limits.exposure_e6_max == 9
    assert load(Keyless, "strategy", {"DORA_CONFIG": str(tmp_path)}).config.common == Common()


def test_names_of_the_venue_are_ignored_by_a_service_that_has_no_key() -> None:
    environ = {"DORA_VENUE_KEY_ID": "k", "DEMO_KEYID": "d", "DORA_ENV": "demo"}
    assert load(Keyless, "strategy", environ).config.common.env is Env.DEMO


def test_keys_of_an_environment_are_taken_in_that_environment_only() -> None:
    keys = {"DEMO_KEYID": "demo", "DEMO_KEYFILE": "/d", "PROD_KEYID": "prod", "PROD_KEYFILE": "/p"}
    ids = {
        env: load(Config, "executor", LIMIT | keys | {"DORA_ENV": env}).config.venue.key_id
        for env in ("sim", "paper", "demo", "live")
    }
    assert ids == {"sim": "", "paper": "", "demo": "demo", "live": "prod"}
    explicit = LIMIT | keys | {"DORA_ENV": "demo", "DORA_VENUE_KEY_ID": "mine"}
    assert load(Config, "executor", explicit).config.venue.key_id == "mine"


def test_the_hash_tells_settings_apart_and_not_processes() -> None:
    plain = load(Config, "executor", LIMIT).hash
    assert len(plain) == 12
    assert load(Config, "executor", LIMIT | {"DORA_INSTANCE": "2", "DORA_METRICS_PORT": "9"}).hash == plain
    assert load(Config, "executor", {"DORA__LIMITS__EXPOSURE_E6_MAX": "1"}).hash != plain


def test_what_is_printed_holds_no_secret_and_no_path_of_one() -> None:
    environ = LIMIT | {
        "DORA_VENUE_KEY_ID": "canary-1",
        "DORA_VENUE_KEY_FILE": "canary-2",
        "NATS_PASSWORD_FILE": "canary-3",
        "NATS_NKEY_FILE": "canary-4",
        "REDIS_URL": "redis://user:canary-5@host/0",
    }
    shown = str(redacted(load(Config, "executor", environ).config))
    assert "canary" not in shown
    assert "redis://[redacted]@host/0" in shown


def test_a_refusal_of_a_secret_field_does_not_quote_it(tmp_path: Path) -> None:
    environ = toml(tmp_path, "[limits]\nexposure_e6_max = 1\n[venue]\nkey_file = 12345\n")
    assert refusal(environ) == "venue.key_file: expected str, was [redacted]"

"""One frozen struct a service, filled from defaults, a TOML file and the environment, in that order.

    struct defaults  <  the TOML file of DORA_CONFIG  <  short names (NATS_URL …)  <  DORA__SECTION__KEY

An unknown field is refused with its name, a wrong value with the field, the
value and what was expected. Limits have no default, and zero means zero.
Secrets appear only as paths of files.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, get_type_hints

import msgspec

from libs.common.env import Env
from libs.common.runtime.errors import ConfigError

C = TypeVar("C", bound=msgspec.Struct)

Port = Annotated[int, msgspec.Meta(ge=0, le=65_535)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Common(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every service is told; section ``common``."""

    env: Env = Env.SIM
    account: Annotated[str, msgspec.Meta(min_length=1)] = "main"
    instance: str = ""
    """Empty: made from the process id."""
    run_id: str = ""
    """The deployment run; empty: made at start (C-025)."""
    nats_url: str = "nats://127.0.0.1:4222"
    """Comma-separated for a cluster."""
    nats_user: str = ""
    """NATS identity; empty: none. With it a password file."""
    nats_password_file: str = ""
    nats_nkey_file: str = ""
    """Seed of an nkey, in place of user and password."""
    nats_monitoring_url: str = ""
    """The server's HTTP port; given, start-up asks it whether every write is synced."""
    redis_url: str = ""
    """Empty: no projections; nothing depends on them."""
    metrics_host: str = "127.0.0.1"
    metrics_port: Port = 0
    """0: any free port, told in the status as gauge ``metrics_port``."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    state_dir: str = "var/state"
    """Local files of the service, such as its halt latch."""
    heartbeat_log_s: Seconds = 10.0
    """How often the HEARTBEAT line is written."""
    connect_s: Seconds = 10.0
    """How long the NATS server may take to accept at start."""
    stop_grace_s: Seconds = 10.0
    """How long an orderly stop may take before the process ends anyway."""
    echo_exit_s: Seconds = 5.0
    """Own heartbeat older than this ends the process. The executor's gate closes at 1.5 s already."""


class Venue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the venue is and who we are there; section ``venue``."""

    rest_url: str = ""
    ws_url: str = ""
    key_id: str = ""
    key_file: str = ""
    """Path of the private key in PEM; never the key itself."""


_ALIASES: Final[tuple[tuple[str, str], ...]] = (
    ("DORA_ENV", "common.env"),
    ("DORA_ACCOUNT", "common.account"),
    ("DORA_INSTANCE", "common.instance"),
    ("DORA_RUN_ID", "common.run_id"),
    ("DORA_STATE_DIR", "common.state_dir"),
    ("DORA_LOG_LEVEL", "common.log_level"),
    ("DORA_METRICS_PORT", "common.metrics_port"),
    ("NATS_URL", "common.nats_url"),
    ("NATS_USER", "common.nats_user"),
    ("NATS_PASSWORD_FILE", "common.nats_password_file"),
    ("NATS_NKEY_FILE", "common.nats_nkey_file"),
    ("NATS_MONITORING_URL", "common.nats_monitoring_url"),
    ("REDIS_URL", "common.redis_url"),
)
_VENUE_ALIASES: Final[tuple[tuple[str, str], ...]] = (
    ("DORA_VENUE_REST_URL", "venue.rest_url"),
    ("DORA_VENUE_WS_URL", "venue.ws_url"),
    ("DORA_VENUE_KEY_ID", "venue.key_id"),
    ("DORA_VENUE_KEY_FILE", "venue.key_file"),
)
_KEY_ALIASES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "demo": (("DEMO_KEYID", "venue.key_id"), ("DEMO_KEYFILE", "venue.key_file")),
    "live": (("PROD_KEYID", "venue.key_id"), ("PROD_KEYFILE", "venue.key_file")),
}
_PREFIX: Final = "DORA__"
_PROCESS_FIELDS: Final = ("instance", "run_id", "metrics_port")
"""Differ between processes of one configuration, so they are not in its hash."""

_SECRET = re.compile(r"password|secret|token|key_file|key_id|nkey|seed")
_CREDENTIALS_IN_URL = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_MISSING = re.compile(r"Object missing required field `(.*)`")


@dataclass(frozen=True, slots=True)
class Loaded(Generic[C]):
    """A configuration and the first twelve hexadecimal digits of its SHA-256."""

    config: C
    hash: str


def load(kind: type[C], service: str, environ: Mapping[str, str]) -> Loaded[C]:
    """Return the configuration of a service.

    ``DORA_CONFIG`` names a TOML file, or a folder with one ``<service>.toml`` for each service.

    Raises:
        ConfigError: Names the field, the value and what was expected.
    """
    tree = _read_toml(environ.get("DORA_CONFIG", ""), service)
    for name, path in _ALIASES + _VENUE_ALIASES:
        if environ.get(name, "") and _type_at(kind, path.split(".")) is not None:
            _put(tree, kind, name, path.split("."), environ[name])
    env = str(tree.get("common", {}).get("env", "")) if isinstance(tree.get("common", {}), dict) else ""
    for name, path in _KEY_ALIASES.get(env, ()):
        section, key = path.split(".")
        if (
            environ.get(name, "")
            and _type_at(kind, [section]) is not None
            and key not in tree.get(section, {})
        ):
            _put(tree, kind, name, [section, key], environ[name])
    for name in sorted(environ):
        if name.startswith(_PREFIX):
            _put(tree, kind, name, _path(kind, name[len(_PREFIX) :].split("__")), environ[name])
    config = _convert(tree, kind)
    return Loaded(config, config_hash(config))


def config_hash(config: msgspec.Struct) -> str:
    """Return the stable hash: equal for equal settings, whatever order or source they came from."""
    tree = msgspec.to_builtins(config)
    for name in _PROCESS_FIELDS:
        tree.get("common", {}).pop(name, None)
    return hashlib.sha256(msgspec.json.encode(tree, order="sorted")).hexdigest()[:12]


def redacted(config: msgspec.Struct) -> dict[str, Any]:
    """Return the configuration as plain data that may be printed: secrets and their paths are gone."""
    result = _redact(msgspec.to_builtins(config))
    assert isinstance(result, dict)
    return result


def _redact(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _redact(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_redact(item, name) for item in value]
    if _SECRET.search(name) and value not in ("", None):
        return "[redacted]"
    if isinstance(value, str):
        return _CREDENTIALS_IN_URL.sub("[redacted]", value)
    return value


def _read_toml(where: str, service: str) -> dict[str, Any]:
    if not where:
        return {}
    path = Path(where)
    if path.is_dir():
        path = path / f"{service}.toml"
        if not path.exists():
            return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(
            f"DORA_CONFIG: expected a readable TOML file, was {where!r} ({e.strerror})"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"DORA_CONFIG: expected TOML in {where!r}, was: {e}") from None


def _type_at(kind: Any, path: Iterable[str]) -> Any:
    """Return the type of the field at a path of struct fields, or None if there is none."""
    for name in path:
        kind = getattr(kind, "__origin__", kind) if hasattr(kind, "__metadata__") else kind
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            kind = get_type_hints(kind, include_extras=True).get(name)
        elif getattr(kind, "__origin__", None) is dict:
            kind = kind.__args__[1]
        else:
            return None
        if kind is None:
            return None
    return kind


def _path(kind: type[msgspec.Struct], words: list[str]) -> list[str]:
    """Return the path that a variable's name means: fields in lower case, keys of a mapping as they stand."""
    path: list[str] = []
    for word in words:
        is_key = getattr(_type_at(kind, path), "__origin__", None) is dict if path else False
        path.append(word if is_key else word.lower())
    return path


def _put(tree: dict[str, Any], kind: type[msgspec.Struct], source: str, path: list[str], text: str) -> None:
    """Set the value at a path from its text, converted to the type of the field there."""
    wanted = _type_at(kind, path)
    if wanted is None:
        raise ConfigError(f"{'.'.join(path)}: unknown field, set by {source}")
    node = tree
    for name in path[:-1]:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise ConfigError(f"{'.'.join(path)}: expected a section at {name}, was {node!r}")
    node[path[-1]] = _parse(wanted, ".".join(path), source, text)


def _parse(wanted: Any, path: str, source: str, text: str) -> Any:
    candidates: list[Any] = [text]
    if text[:1] in "[{":
        with contextlib.suppress(msgspec.DecodeError):
            candidates.insert(0, msgspec.json.decode(text))
    else:
        candidates.append([part.strip() for part in text.split(",") if part.strip()])
    first: msgspec.ValidationError | None = None
    for candidate in candidates:
        try:
            return msgspec.to_builtins(msgspec.convert(candidate, wanted, strict=False))
        except msgspec.ValidationError as e:
            first = first or e
    what = str(first).partition(" - at ")[0]
    raise ConfigError(f"{path}: {_expectation(what)}, was {_shown(path, text)} (set by {source})")


def _convert(tree: dict[str, Any], kind: type[C]) -> C:
    try:
        return msgspec.convert(tree, kind)
    except msgspec.ValidationError as e:
        raise ConfigError(_explain(str(e), tree)) from None


def _explain(text: str, tree: dict[str, Any]) -> str:
    """Return msgspec's complaint as "field: expectation, was value"."""
    match = _AT.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    if unknown := _UNKNOWN.match(what):
        return f"{_join(path, unknown[1])}: unknown field"
    if missing := _MISSING.match(what):
        return f"{_join(path, missing[1])}: required, has no default, was missing"
    return f"{path}: {_expectation(what)}, was {_shown(path, _value_at(tree, path))}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _expectation(what: str) -> str:
    head = what.partition(", got ")[0].replace("`", "")
    return head[:1].lower() + head[1:]


def _shown(path: str, value: Any) -> str:
    return "[redacted]" if _SECRET.search(path.rpartition(".")[2]) else repr(value)


def _value_at(tree: Any, path: str) -> Any:
    for name in re.findall(r"[^.\[\]]+", path):
        if isinstance(tree, dict) and name in tree:
            tree = tree[name]
        elif isinstance(tree, list) and name.isdigit() and int(name) < len(tree):
            tree = tree[int(name)]
        else:
            break
    return tree

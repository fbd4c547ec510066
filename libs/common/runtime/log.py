"""One JSON object a line on standard output, with the fields of requirements C-008 to C-028.

Everything goes through the standard `logging` module and one formatter, so that
a library's line has the same form as ours. Secrets are taken out twice: by the
field's name, and by the look of the finished line.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from libs.common.runtime.context import bound, bound_fields
from libs.common.runtime.events import EVENTS

__all__ = ["EventLog", "Identity", "JsonFormatter", "bot_version", "bound", "set_up_logging"]

_LOGGER = "dora"
_FILE_BYTES_MAX: Final = 10_000_000
_FILES_KEPT: Final = 5
_KINDS_MAX: Final = 1_000
_DEPTH_MAX: Final = 8
_REDACTED: Final = "[redacted]"
_SECRET_NAME = re.compile(
    r"passw|secret|token$|signature|credential|private|nkey|seed|key_file|authorization|kalshi.access",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    # Written so that what is taken out never holds the quote that ends a JSON string.
    r"(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----)(?:[^\"\\]|\\[nr])*"
    r"|(?P<url>://)[^/@\s\"\\]+(?=@)"
    r"|(?P<header>KALSHI-ACCESS-(?:SIGNATURE|KEY)\W{1,6})[A-Za-z0-9+/=_-]+"
    r"|\bS[UANCOX][A-Z2-7]{56}\b",
    re.IGNORECASE,
)
_RECORD_FIELDS: Final = "dora_fields"
_RECORD_EVENT: Final = "dora_event"
_TOP_FIELDS: Final = frozenset(
    {"ts", "level", "service", "env", "bot_version", "bot_run_id", "instance_id", "message", "event_type"}
)
_ENCODER = msgspec.json.Encoder(enc_hook=repr)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who writes: the fields that every line of a process shares."""

    service: str
    env: str
    version: str
    run: str
    instance: str


def bot_version(environ: Mapping[str, str]) -> str:
    """Return ``BOT_VERSION``, else the short hash of the checkout, else ``unknown`` (C-024)."""
    return environ.get("BOT_VERSION") or _checkout_hash(Path(__file__).resolve().parents[3]) or "unknown"


def _checkout_hash(root: Path) -> str:
    """Read the commit from the files of `.git`; starting a process at every start would cost more."""
    git = root / ".git"
    try:
        if git.is_file():  # a linked worktree: "gitdir: <path>"
            git = (root / git.read_text().partition(":")[2].strip()).resolve()
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:7]
        common = git / "commondir"
        base = (git / common.read_text().strip()).resolve() if common.exists() else git
        name = head[5:]
        if (base / name).exists():
            return (base / name).read_text().strip()[:7]
        for line in (base / "packed-refs").read_text().splitlines():
            if line.endswith(f" {name}"):
                return line[:7]
    except OSError:
        return ""
    return ""


class JsonFormatter(logging.Formatter):
    """Writes a record as one line of JSON; never raises, whatever the payload."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._identity = identity

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        who = self._identity
        stamp = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "ts": f"{stamp:%Y-%m-%dT%H:%M:%S}.{stamp.microsecond // 1000:03d}Z",
            "level": record.levelname,
            "service": who.service,
            "env": who.env,
            "bot_version": who.version,
            "bot_run_id": who.run,
            "instance_id": who.instance,
            "event_type": getattr(record, _RECORD_EVENT, "LIBRARY"),
            "message": _message_of(record),
        }
        if record.name != _LOGGER:
            line["logger"] = record.name
        for name, value in (*bound_fields().items(), *getattr(record, _RECORD_FIELDS, {}).items()):
            key = f"field_{name}" if name in _TOP_FIELDS else name
            line[key] = _without_secrets(name, value)
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            line["error_type"] = type(error).__name__
            line["error_msg"] = str(error)
            line["stack"] = "".join(traceback.format_exception(error))
        return _redact(_encode(line))


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # a library's format string does not fit its arguments
        return str(record.msg)


def _encode(line: dict[str, Any]) -> str:
    try:
        return _ENCODER.encode(line).decode()
    except (TypeError, ValueError, UnicodeError, RecursionError, OverflowError):
        # Lone surrogates, keys that are no strings, cycles: the line still comes out, as text.
        plain = {str(name): _plain(value) for name, value in line.items()}
        return _ENCODER.encode(plain).decode()


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", "backslashreplace").decode()


def _redact(text: str) -> str:
    return _SECRET_TEXT.sub(lambda found: (found["url"] or found["header"] or "") + _REDACTED, text)


def _without_secrets(name: str, value: Any, depth: int = 0) -> Any:
    if _SECRET_NAME.search(name):
        return _REDACTED
    if depth > _DEPTH_MAX:
        return "too deep"
    if isinstance(value, dict):
        return {str(key): _without_secrets(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets("", item, depth + 1) for item in value]
    return value


class EventLog:
    """The typed way to log: an event type of the registry, a sentence, and fields (C-021)."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger(_LOGGER)
        self._kinds: dict[str, int] = {}

    def event(
        self,
        event_type: str,
        message: str = "",
        *,
        level: str = "INFO",
        error: BaseException | None = None,
        **fields: object,
    ) -> None:
        """Write one line.

        Args:
            event_type: A key of `events.EVENTS`; another one is written as ``UNREGISTERED``
                with the name beside it, because a line must never end a trade.
            message: For people.
            level: ``DEBUG``, ``INFO``, ``WARNING``, ``ERROR`` or ``CRITICAL``.
            error: Adds ``error_type``, ``error_msg`` and ``stack``.
            **fields: Contextual fields; units in their names.
        """
        number = logging.getLevelName(level)
        if not isinstance(number, int):
            number = logging.INFO
        if not self._logger.isEnabledFor(number):
            return
        if event_type not in EVENTS:
            fields["event_name"] = event_type
            event_type = "UNREGISTERED"
        self._logger.log(
            number,
            "%s",
            message or EVENTS.get(event_type, event_type),
            extra={_RECORD_EVENT: event_type, _RECORD_FIELDS: fields},
            exc_info=(type(error), error, error.__traceback__) if error is not None else None,
        )

    def error(self, message: str, error: BaseException, **fields: object) -> None:
        """Write an ``ERROR`` line with type, text and stack (C-039)."""
        self.event("ERROR", message, level="ERROR", error=error, **fields)

    def once(
        self, kind: str, event_type: str, message: str = "", *, level: str = "WARNING", **fields: object
    ) -> int:
        """Write the line the first, tenth, hundredth … time that this kind happens; return how often it has.

        Whatever floods in from outside is counted in full and logged a few times.
        """
        if kind not in self._kinds and len(self._kinds) >= _KINDS_MAX:
            kind = "more kinds than are told apart"
        count = self._kinds.get(kind, 0) + 1
        self._kinds[kind] = count
        if str(count).strip("0") == "1":
            self.event(event_type, message, level=level, error=None, kind=kind, count=count, **fields)
        return count

    def set_level(self, level: str) -> None:
        """Change what is written.

        Raises:
            ValueError: No such level.
        """
        self._logger.setLevel(level)

    @property
    def level(self) -> str:
        """Return the present level's name."""
        return logging.getLevelName(self._logger.getEffectiveLevel())


def set_up_logging(
    identity: Identity, level: str, environ: Mapping[str, str], out: TextIO | None = None
) -> EventLog:
    """Route this process's lines, libraries' included, to standard output and return the log.

    ``DORA_LOG_FILE`` adds a rotating file, unless ``CONTAINER_MODE=true`` (C-006, A-034).
    """
    formatter = JsonFormatter(identity)
    handlers: list[logging.Handler] = [logging.StreamHandler(out or sys.stdout)]
    path = environ.get("DORA_LOG_FILE", "")
    if path and environ.get("CONTAINER_MODE", "").lower() != "true":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handlers.append(
            RotatingFileHandler(path, maxBytes=_FILE_BYTES_MAX, backupCount=_FILES_KEPT, encoding="utf-8")
        )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    for handler in handlers:
        handler.setFormatter(formatter)
        root.addHandler(handler)
    # Libraries speak from WARNING on: their debug lines have printed credentials before (nats.py #955).
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False
    ours = logging.getLogger(_LOGGER)
    ours.setLevel(level)
    return EventLog(ours)


def environment() -> Mapping[str, str]:
    """Return the process environment; the one place that reads it."""
    return os.environ

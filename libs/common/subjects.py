"""Every subject of the bus, who may publish it, and how a key is written into it.

This table is the single source: services build subjects only through it, the
NATS permissions are rendered from it, and ``docs/subjects.md`` is generated
from it (`tools/generate_subjects.py`). A family has exactly one writing
service, except the control families, which say so.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from libs.common.env import Env

_PLAIN = re.compile(r"[A-Za-z0-9_-]")
_ESCAPED = re.compile(r"=([0-9A-F]{2})")
_TOKEN = re.compile(r"(?:[A-Za-z0-9_-]|=[0-9A-F]{2})+")


class Carriage(enum.StrEnum):
    """How messages of a family travel."""

    LATEST = "latest"
    """Core NATS, whole state, the newest wins; one slot a subject at the consumer."""
    STREAM = "stream"
    """JetStream, every message counts."""
    REPLY = "request/reply"
    """NATS micro; never for a halt, since a queue group hands a request to one instance only."""


class Stream(enum.StrEnum):
    """The JetStream streams; their settings are in ``libs/common/bus/streams.py``."""

    CONTROL = "CONTROL"
    EXEC = "EXEC"
    AUDIT = "AUDIT"
    MD = "MD"


@dataclass(frozen=True, slots=True)
class Family:
    """One row of the table."""

    name: str
    publishers: tuple[str, ...]
    carriage: Carriage
    stream: Stream | None
    keys: str
    schema: str
    purpose: str


FAMILIES: Final[tuple[Family, ...]] = (
    Family(
        "md.book",
        ("marketdata",),
        Carriage.LATEST,
        None,
        "market",
        "BookV1",
        "best 20 levels a side with everything a decision needs of the market",
    ),
    Family(
        "md.top",
        ("marketdata",),
        Carriage.LATEST,
        None,
        "market",
        "TopV1",
        "best bid and ask, for services that never parse whole books",
    ),
    Family("md.trade", ("marketdata",), Carriage.LATEST, Stream.MD, "market", "TradeV1", "public trades"),
    Family(
        "md.status",
        ("marketdata",),
        Carriage.LATEST,
        Stream.MD,
        "market",
        "MarketV1",
        "what the market is: shard, grid, fees, close time, state, settlement",
    ),
    Family(
        "md.whale",
        ("marketdata",),
        Carriage.LATEST,
        Stream.MD,
        "market",
        "WhaleV1",
        "large orders, extreme imbalance, levels that vanished without a trade",
    ),
    Family("signal", ("feed",), Carriage.LATEST, None, "source, market", "SignalV1", "outside fair values"),
    Family(
        "target",
        ("strategy",),
        Carriage.LATEST,
        None,
        "market",
        "TargetV1",
        "the whole desired set of quotes of a market, with expiry and inputs",
    ),
    Family(
        "exec.epoch",
        ("executor",),
        Carriage.STREAM,
        Stream.EXEC,
        "account",
        "EpochV1",
        "who leads; the stream sequence of this message is the fencing token",
    ),
    Family(
        "exec.renew", ("executor",), Carriage.STREAM, Stream.EXEC, "account", "RenewV1", "the leader is alive"
    ),
    Family(
        "exec.group",
        ("executor",),
        Carriage.STREAM,
        Stream.EXEC,
        "account",
        "OrderGroupV1",
        "an order group of this epoch, journalled before its first use",
    ),
    Family(
        "exec.intent",
        ("executor",),
        Carriage.STREAM,
        Stream.EXEC,
        "account",
        "IntentV1",
        "one batch about to be sent; no acknowledgement, no request",
    ),
    Family(
        "exec.result",
        ("executor",),
        Carriage.STREAM,
        Stream.EXEC,
        "account",
        "ResultV1",
        "what became of a batch",
    ),
    Family(
        "order", ("executor",), Carriage.STREAM, Stream.EXEC, "market", "OrderV1", "an order's newest state"
    ),
    Family("fill", ("executor",), Carriage.STREAM, Stream.EXEC, "market", "FillV1", "one fill, counted once"),
    Family(
        "position",
        ("executor",),
        Carriage.LATEST,
        None,
        "market",
        "PositionV1",
        "signed quantity, own resting quantity by price, cost, realised result",
    ),
    Family(
        "recon.clear",
        ("reconciler",),
        Carriage.STREAM,
        Stream.AUDIT,
        "scope",
        "ReconResultV1",
        "the three witnesses agree",
    ),
    Family(
        "recon.drift",
        ("reconciler",),
        Carriage.STREAM,
        Stream.AUDIT,
        "scope",
        "ReconResultV1",
        "they do not, with evidence and the witness that stands alone",
    ),
    Family(
        "permit.risk",
        ("riskguard",),
        Carriage.LATEST,
        None,
        "account",
        "PermitV1",
        "leave to trade, twice a second",
    ),
    Family(
        "permit.recon",
        ("reconciler",),
        Carriage.LATEST,
        None,
        "account",
        "PermitV1",
        "the same, from agreement",
    ),
    Family(
        "risk.exposure", ("riskguard",), Carriage.LATEST, None, "scope", "ExposureV1", "worst-case exposure"
    ),
    Family(
        "risk.pnl",
        ("riskguard",),
        Carriage.LATEST,
        None,
        "scope",
        "PnlV1",
        "result of the day, marks kept apart",
    ),
    Family(
        "risk.state",
        ("riskguard",),
        Carriage.STREAM,
        Stream.AUDIT,
        "account",
        "RiskStateV1",
        "baselines and peaks of the day, which a restart must not forget",
    ),
    Family("risk.scale", ("riskguard",), Carriage.LATEST, None, "scope", "ScaleV1", "size factor in 0 to 1"),
    Family(
        "ctl.halt",
        ("operator", "riskguard", "reconciler", "executor", "gateway"),
        Carriage.STREAM,
        Stream.CONTROL,
        "source",
        "HaltV1 (any payload halts, also none)",
        "stop; each source has its own latch",
    ),
    Family(
        "ctl.resume",
        ("operator", "riskguard"),
        Carriage.STREAM,
        Stream.CONTROL,
        "source",
        "ResumeV1",
        "lifts exactly the halts it names",
    ),
    Family("ctl.mode", ("riskguard",), Carriage.STREAM, Stream.CONTROL, "scope", "ModeV1", "mode changes"),
    Family("ctl.limit", ("riskguard",), Carriage.STREAM, Stream.CONTROL, "scope", "LimitV1", "limit changes"),
    Family(
        "audit.decision",
        ("strategy",),
        Carriage.STREAM,
        Stream.AUDIT,
        "instance",
        "DecisionBatchV1",
        "decisions whose outcome changed, with every stage's effect and reasons",
    ),
    Family(
        "audit.exec",
        ("executor",),
        Carriage.STREAM,
        Stream.AUDIT,
        "account",
        "AuditExecV1",
        "refusals and requests, with rule, limit and value",
    ),
    Family(
        "audit.risk",
        ("riskguard",),
        Carriage.STREAM,
        Stream.AUDIT,
        "account",
        "AuditRiskV1",
        "triggers and permits",
    ),
    Family(
        "audit.recon",
        ("reconciler",),
        Carriage.STREAM,
        Stream.AUDIT,
        "account",
        "OrphanedOrderV1",
        "orphans that were found, and what became of each",
    ),
    Family(
        "health.beat",
        ("every service",),
        Carriage.LATEST,
        None,
        "service, instance",
        "BeatV1",
        "alive; also the own echo: a process must hear itself",
    ),
    Family(
        "svc", ("every service",), Carriage.REPLY, None, "service, endpoint", "", "questions, by NATS micro"
    ),
)

_BY_NAME: Final = {family.name: family for family in FAMILIES}


@lru_cache(maxsize=16_384)  # a market's name is escaped with every message about it
def escape(key: str) -> str:
    """Return the key as one subject token that is also a legal key-value key.

    Anything but letters, digits, dash and underscore is written ``=XX`` per
    UTF-8 byte, the equals sign itself included, so the form is reversible. A
    point would make a second token and ``book.*`` would miss the market.

    Raises:
        ValueError: The key is empty.
    """
    if not key:
        raise ValueError("key of at least one character, was empty")
    return "".join(
        char if _PLAIN.fullmatch(char) else "".join(f"={byte:02X}" for byte in char.encode()) for char in key
    )


def unescape(token: str) -> str:
    """Return the key of a subject token.

    Raises:
        ValueError: The token was not made by :func:`escape`.
    """
    if _TOKEN.fullmatch(token) is None:
        raise ValueError(f"escaped key, was {token!r}")
    raw = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), token)
    text = raw.encode("latin-1").decode("utf-8")
    if escape(text) != token:
        raise ValueError(f"escaped key in its one form, was {token!r}")
    return text


@dataclass(frozen=True, slots=True)
class Subjects:
    """The subjects of one environment."""

    env: Env

    @property
    def root(self) -> str:
        """Return the first two tokens, for example ``dora.sim``."""
        return f"dora.{self.env.value}"

    def of(self, family: str, *keys: str) -> str:
        """Return the subject of a family and its keys, which are escaped here.

        Raises:
            KeyError: The family is not in the table.
        """
        return ".".join((self.root, _BY_NAME[family].name, *(escape(key) for key in keys)))

    def all_of(self, family: str) -> str:
        """Return the pattern that matches every subject of a family."""
        return f"{self.root}.{_BY_NAME[family].name}.>"

    def keys_of(self, family: str, subject: str) -> tuple[str, ...]:
        """Return the unescaped keys of a subject of the family.

        Raises:
            ValueError: The subject belongs to another family or environment.
        """
        prefix = f"{self.root}.{_BY_NAME[family].name}."
        if not subject.startswith(prefix):
            raise ValueError(f"subject under {prefix}, was {subject!r}")
        return tuple(unescape(token) for token in subject[len(prefix) :].split("."))

    def stream_name(self, stream: Stream) -> str:
        """Return the name of a stream in this environment, for example ``SIM_EXEC``."""
        return f"{self.env.value.upper()}_{stream.value}"

    def stream_subjects(self, stream: Stream) -> tuple[str, ...]:
        """Return the subjects that the stream captures."""
        return tuple(self.all_of(family.name) for family in FAMILIES if family.stream is stream)

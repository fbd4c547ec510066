"""Who may say what: the NATS server's configuration, rendered from the subject table.

Publishing is what moves money, so it follows the table to the letter: a family
has one writing service and the server enforces it; a halt may be written by each
halter under its own name only, so that no one can speak for another. Reading is
wide among our own services (they are one trust domain and share the books),
except that nobody hears another's questions and answers: inboxes and ``svc``
subjects are each service's own.

Nobody at run time may create, change, delete or purge a stream, nor create a
consumer, which would be a right to read everything and to have it sent anywhere
(reliability facts 19 and 20). Only ``init`` may, and it is used at installation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from libs.common.bus.layout import STREAMS, config_stream, config_subject
from libs.common.env import Env
from libs.common.subjects import FAMILIES, Carriage, Family, Stream, Subjects

INIT: Final = "init"
OPERATOR: Final = "operator"
EVERY_SERVICE: Final = "every service"
_API: Final = "$JS.API."
_ANSWERS_MAX: Final = 16
_ANSWER_EXPIRES: Final = "5m"
"""A halt is answered when nothing rests any more, an order when it has ended, which may take minutes."""

STREAMS_READ: Final[Mapping[str, tuple[Stream, ...]]] = {
    "marketdata": (Stream.CONTROL,),
    "strategy": (Stream.CONTROL,),
    "executor": (Stream.CONTROL, Stream.EXEC),
    "reconciler": (Stream.CONTROL, Stream.EXEC, Stream.AUDIT),
    "riskguard": (Stream.CONTROL, Stream.EXEC, Stream.AUDIT),
    "ledger": tuple(Stream),
    "gateway": tuple(Stream),
    "notifier": (Stream.CONTROL, Stream.AUDIT),
    OPERATOR: tuple(Stream),
}
"""Reading is by question to the stream's leader; an identity that is not here reads no stream."""

ASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "reconciler": ("executor",),
    "riskguard": ("executor",),
    "gateway": ("*",),
    OPERATOR: ("*",),
}
"""Whose endpoints an identity may ask; ``*`` is everybody's."""

OPERATOR_ONLY: Final[Mapping[str, tuple[str, ...]]] = {"executor": ("place", "flatten", "settle")}
"""Endpoints that make orders, or withdraw all of them, because a person says so: no service may ask for
them, the gateway included until it knows its people by sign-in and role."""

CONFIG_WRITERS: Final = (OPERATOR, "riskguard", "gateway")


@dataclass(frozen=True, slots=True)
class Grants:
    """What one identity may publish and subscribe to; everything else is denied."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    may_answer: bool
    """Whether it may publish to the reply subject of what it received."""
    deny_subscribe: tuple[str, ...] = ()
    """Not delivered although a wider pattern is allowed."""
    deny_publish: tuple[str, ...] = ()
    """Refused although a wider pattern is allowed."""


def grants(env: Env, identity: str) -> Grants:
    """Return the grants of an identity, from the tables.

    Raises:
        KeyError: No such identity.
    """
    subjects = Subjects(env)
    if identity == INIT:
        return Grants(
            (f"{_API}>", subjects.of("ctl.halt", INIT)), (f"_R.{INIT}.>", "_INBOX.>"), may_answer=False
        )
    streams = STREAMS_READ[identity]
    publish = [pattern for family in FAMILIES for pattern in _published(subjects, family, identity)]
    names = [subjects.stream_name(stream) for stream in streams] + [config_stream(env)]
    publish += [f"{_API}STREAM.{what}.{name}" for name in names for what in ("INFO", "MSG.GET")]
    if identity in CONFIG_WRITERS:
        publish.append(config_subject(env, ">"))
    asked = ASKS.get(identity, ())
    publish += [
        f"{subjects.root}.svc.>" if name == "*" else f"{subjects.root}.svc.{name}.>" for name in asked
    ]
    # All but the endpoints of others: in their queue group one could answer in their name.
    subscribe = sorted(
        {subjects.all_of(family.name) for family in FAMILIES if family.carriage is not Carriage.REPLY}
    )
    subscribe += [config_subject(env, ">"), f"_R.{identity}.>"]
    if identity == OPERATOR:
        # `nats micro ls`, `nats stream ls` and `nats req` with the stock command and its own inboxes.
        publish += ["$SRV.>", f"{_API}INFO", f"{_API}STREAM.NAMES", f"{_API}STREAM.LIST"]
        # The whole environment with one pattern, as people ask for it, but still no one's questions.
        subscribe = [f"{subjects.root}.>", config_subject(env, ">"), f"_R.{identity}.>", "_INBOX.>"]
        return Grants(
            tuple(publish), tuple(subscribe), may_answer=False, deny_subscribe=(f"{subjects.root}.svc.>",)
        )
    subscribe += [f"{subjects.root}.svc.{identity}.>", "$SRV.>"]
    denied = [
        subjects.of("svc", service, endpoint)
        for service, endpoints in OPERATOR_ONLY.items()
        for endpoint in endpoints
    ]
    return Grants(tuple(publish), tuple(subscribe), may_answer=True, deny_publish=tuple(denied))


def _published(subjects: Subjects, family: Family, identity: str) -> Sequence[str]:
    if family.carriage is Carriage.REPLY:
        return ()
    if family.name == "ctl.halt":
        return (subjects.of(family.name, identity),) if identity in family.publishers else ()
    if family.name == "ctl.resume" and identity == OPERATOR:
        return ()  # an operator resumes by asking riskguard, in two steps; only riskguard writes
    if EVERY_SERVICE in family.publishers:
        return () if identity == OPERATOR else (f"{subjects.root}.{family.name}.{identity}.>",)
    return (subjects.all_of(family.name),) if identity in family.publishers else ()


def render_server_config(
    env: Env, store_dir: str, port: int, http_port: int, users: Mapping[str, str], *, host: str = "127.0.0.1"
) -> str:
    """Return the configuration of one server.

    Args:
        env: The environment whose subjects are granted.
        store_dir: Where JetStream keeps its files; never the server's default under /tmp.
        port: For clients.
        http_port: For monitoring; it has no authentication of its own, so it listens on ``host`` only.
        users: Password by identity.
        host: Address to listen on.

    Raises:
        KeyError: A user is no known identity.
    """
    lines = [
        f"listen: {_quoted(f'{host}:{port}')}",
        f"http: {_quoted(f'{host}:{http_port}')}",
        f"server_name: {_quoted(f'dora-{env.value}')}",
        # A frozen client is noticed by the server as fast as a frozen server is by the client (fact 5).
        'ping_interval: "1s"',
        "ping_max: 2",
        "jetstream {",
        f"  store_dir: {_quoted(store_dir)}",
        # Acknowledged means on the disk (fact 1).
        "  sync_interval: always",
        "}",
        "authorization {",
        "  users = [",
        *(_user(env, name, password) for name, password in users.items()),
        "  ]",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _user(env: Env, name: str, password: str) -> str:
    granted = grants(env, name)
    answers = (
        f', allow_responses: {{ max: {_ANSWERS_MAX}, expires: "{_ANSWER_EXPIRES}" }}'
        if granted.may_answer
        else ""
    )
    denied = f", deny: [{_list(granted.deny_subscribe)}]" if granted.deny_subscribe else ""
    refused = f", deny: [{_list(granted.deny_publish)}]" if granted.deny_publish else ""
    return (
        f"    {{ user: {_quoted(name)}, password: {_quoted(password)}, permissions: {{\n"
        f"        publish: {{ allow: [{_list(granted.publish)}]{refused} }},\n"
        f"        subscribe: {{ allow: [{_list(granted.subscribe)}]{denied} }}{answers}\n"
        "    } }"
    )


def _list(patterns: Sequence[str]) -> str:
    return ", ".join(_quoted(pattern) for pattern in patterns)


def _quoted(text: str) -> str:
    """Return the text as a string of the server's configuration language, which JSON's form is."""
    return msgspec.json.encode(text).decode()


assert {spec.stream for spec in STREAMS} == set(Stream), "every stream of the table has its layout"

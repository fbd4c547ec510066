"""The life of one order: a table of what each piece of evidence does in each state.

Rules of the file:

* :data:`TRANSITIONS` is the whole truth; a pair that is not in it changes nothing.
  That is how late, repeated and reordered evidence is accepted: it is allowed to
  say what we already know.
* Evidence from the venue about the order itself beats our own conclusions, and a
  fill beats everything: an order thought refused that fills was not refused.
* A listing may lag (kalshi-api 14.3), so "still resting" comes in two strengths:
  `SEEN_RESTING` (a feed message, or a read that began before our last answer) never
  wakes a cancelled order; `LISTED_RESTING` (a read begun well after it) does.
* `ABSENT` ends an `UNKNOWN` create only; the caller decides how many clean reads
  make an absence (reliability 3.5).
* The count of fills never falls; :func:`settle` applies it on top of the table.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from libs.common.messages.execution import OrderState

S = OrderState


class Evidence(enum.StrEnum):
    """What we did to an order or heard about it."""

    INTENDED = "intended"
    SENT = "sent"
    UNSENT = "unsent"
    """Proof that no byte left."""
    ACCEPTED_RESTING = "accepted_resting"
    ACCEPTED_FILLED = "accepted_filled"
    ACCEPTED_KILLED = "accepted_killed"
    """Accepted, and what did not match at once was cancelled."""
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    FILLED = "filled"
    FILLED_WHOLE = "filled_whole"
    CANCEL_SENT = "cancel_sent"
    CANCEL_ACCEPTED = "cancel_accepted"
    CANCEL_NOT_DONE = "cancel_not_done"
    """Refused, 404 or unanswered: the order is looked up, nothing is concluded."""
    AMEND_SENT = "amend_sent"
    AMEND_ACCEPTED = "amend_accepted"
    AMEND_REFUSED = "amend_refused"
    AMEND_UNANSWERED = "amend_unanswered"
    """No answer, or a 404: the order may have changed or be gone."""
    SEEN_RESTING = "seen_resting"
    LISTED_RESTING = "listed_resting"
    SEEN_EXECUTED = "seen_executed"
    SEEN_CANCELLED = "seen_cancelled"
    ABSENT = "absent"


E = Evidence

MEANINGS: Final[Mapping[OrderState | Evidence, str]] = MappingProxyType(
    {
        S.PLANNED: "thought of, written nowhere",
        S.INTENDED: "its intent is being stored; no byte has left",
        S.SENT: "its bytes left, no answer yet",
        S.RESTING: "rests, nothing filled",
        S.PARTLY_FILLED: "rests, part of it filled",
        S.CANCEL_PENDING: "rests or not: its cancel has no answer, or one that proved nothing",
        S.AMEND_PENDING: "rests at the old or the new price and size: its amend has no answer",
        S.UNKNOWN: "may or may not exist; only evidence ends it",
        S.EXECUTED: "filled whole",
        S.CANCELLED: "ended at the venue, filled in part or not at all",
        S.REFUSED: "proven never to have existed",
        E.INTENDED: "put into a batch",
        E.SENT: "the batch's bytes left",
        E.UNSENT: "proof that no byte left",
        E.ACCEPTED_RESTING: "create accepted, some of it rests",
        E.ACCEPTED_FILLED: "create accepted and filled whole on entry",
        E.ACCEPTED_KILLED: "create accepted; what did not match at once was cancelled",
        E.REFUSED: "create refused in the venue's own words",
        E.UNANSWERED: "create timed out, 5xx, unreadable or foreign answer, or its id was there already",
        E.FILLED: "a fill or a larger count of fills was told",
        E.FILLED_WHOLE: "the same, and nothing is left",
        E.CANCEL_SENT: "a cancel left",
        E.CANCEL_ACCEPTED: "the venue cancelled it",
        E.CANCEL_NOT_DONE: "cancel refused, 404 or unanswered: it is looked up, nothing is concluded",
        E.AMEND_SENT: "an amend or decrease left",
        E.AMEND_ACCEPTED: "the venue changed it",
        E.AMEND_REFUSED: "the venue left it as it was",
        E.AMEND_UNANSWERED: "no answer, or a 404: it may have changed or be gone",
        E.SEEN_RESTING: "a feed message, or a read begun before our last answer, shows it resting",
        E.LISTED_RESTING: "a read begun well after our last answer shows it resting",
        E.SEEN_EXECUTED: "feed or read shows it executed",
        E.SEEN_CANCELLED: "feed or read shows it cancelled",
        E.ABSENT: "enough clean reads in a row, or a trigger of its group, prove that it never arrived",
    }
)
"""One line a state and a piece of evidence; docs/order-life.md is written from it and the table."""

TERMINAL: Final = frozenset({S.EXECUTED, S.CANCELLED, S.REFUSED})
"""Nothing rests any more, as far as we know."""

IN_FLIGHT: Final = frozenset({S.PLANNED, S.INTENDED, S.SENT, S.CANCEL_PENDING, S.AMEND_PENDING})
"""A request without an answer: the side gets no action."""

# What the venue says of an order that may exist, whatever we were doing with it.
_VENUE: Final = {
    E.FILLED_WHOLE: S.EXECUTED,
    E.SEEN_EXECUTED: S.EXECUTED,
    E.SEEN_CANCELLED: S.CANCELLED,
    E.LISTED_RESTING: S.RESTING,
}
# What answers a create, however late.
_CREATED: Final = {
    E.ACCEPTED_RESTING: S.RESTING,
    E.ACCEPTED_FILLED: S.EXECUTED,
    E.ACCEPTED_KILLED: S.CANCELLED,
}
_RESTING: Final = {
    **_VENUE,
    E.ACCEPTED_FILLED: S.EXECUTED,
    E.ACCEPTED_KILLED: S.CANCELLED,
    E.FILLED: S.PARTLY_FILLED,
    E.CANCEL_SENT: S.CANCEL_PENDING,
    E.CANCEL_ACCEPTED: S.CANCELLED,
    E.AMEND_SENT: S.AMEND_PENDING,
    E.AMEND_UNANSWERED: S.UNKNOWN,
    E.ABSENT: S.UNKNOWN,
}
_LIVES: Final[Mapping[OrderState, Mapping[Evidence, OrderState]]] = {
    S.PLANNED: {E.INTENDED: S.INTENDED, E.UNSENT: S.REFUSED},
    S.INTENDED: {
        **_VENUE,
        **_CREATED,
        E.SENT: S.SENT,
        E.UNSENT: S.REFUSED,
        E.REFUSED: S.REFUSED,
        E.UNANSWERED: S.UNKNOWN,
        E.FILLED: S.PARTLY_FILLED,
        E.SEEN_RESTING: S.RESTING,
    },
    S.SENT: {
        **_VENUE,
        **_CREATED,
        E.UNSENT: S.REFUSED,
        E.REFUSED: S.REFUSED,
        E.UNANSWERED: S.UNKNOWN,
        E.FILLED: S.PARTLY_FILLED,
        E.SEEN_RESTING: S.RESTING,
    },
    S.RESTING: _RESTING,
    S.PARTLY_FILLED: _RESTING,
    S.CANCEL_PENDING: {
        **_VENUE,
        E.ACCEPTED_FILLED: S.EXECUTED,
        E.ACCEPTED_KILLED: S.CANCELLED,
        E.CANCEL_ACCEPTED: S.CANCELLED,
    },
    S.AMEND_PENDING: {
        **_VENUE,
        E.ACCEPTED_FILLED: S.EXECUTED,
        E.ACCEPTED_KILLED: S.CANCELLED,
        E.AMEND_ACCEPTED: S.RESTING,
        E.AMEND_REFUSED: S.RESTING,
        E.AMEND_UNANSWERED: S.UNKNOWN,
        # A cancel of the kill ladder may overtake an amend.
        E.CANCEL_SENT: S.CANCEL_PENDING,
        E.CANCEL_ACCEPTED: S.CANCELLED,
    },
    S.UNKNOWN: {
        **_VENUE,
        **_CREATED,
        E.SEEN_RESTING: S.RESTING,
        E.AMEND_ACCEPTED: S.RESTING,
        E.CANCEL_ACCEPTED: S.CANCELLED,
        E.ABSENT: S.REFUSED,
    },
    S.EXECUTED: {E.LISTED_RESTING: S.RESTING},
    S.CANCELLED: {
        E.FILLED_WHOLE: S.EXECUTED,
        E.SEEN_EXECUTED: S.EXECUTED,
        E.LISTED_RESTING: S.RESTING,
    },
    S.REFUSED: {
        **_VENUE,
        **_CREATED,
        E.FILLED: S.PARTLY_FILLED,
        E.SEEN_RESTING: S.RESTING,
    },
}

TRANSITIONS: Final[Mapping[tuple[OrderState, Evidence], OrderState]] = MappingProxyType(
    {(state, evidence): to for state, row in _LIVES.items() for evidence, to in row.items()}
)


def step(state: OrderState, evidence: Evidence) -> OrderState:
    """Return the state after the evidence; unlisted pairs change nothing."""
    return TRANSITIONS.get((state, evidence), state)


def settle(state: OrderState, filled_e2: int, total_e2: int) -> OrderState:
    """Return the state that the fill count demands on top of the table.

    A resting order with fills is partly filled, and a live order filled to its
    total is executed. An order whose amend is open keeps its state: its total is
    about to change.
    """
    if state in (S.RESTING, S.PARTLY_FILLED):
        if filled_e2 >= total_e2:
            return S.EXECUTED
        return S.PARTLY_FILLED if filled_e2 else S.RESTING
    if state in (S.SENT, S.INTENDED, S.CANCEL_PENDING) and filled_e2 >= total_e2:
        return S.EXECUTED
    return state

"""Every event type that a log line may carry: one word, one meaning, grep-able.

The first ten are requirements C-030 to C-039; add a row for a new one. The test
`tests/unit/libs/common/runtime/test_events.py` reads every call in the source
and names the ones that are missing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

EVENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "STARTUP": "the process starts: version, run, environment; always its first line",
        "SHUTDOWN": "the process ends: reason, graceful or not",
        "HEARTBEAT": "alive, with the core's own counters",
        "DECISION_MADE": "a decision whose outcome changed",
        "ORDER_PLACE": "an order is about to be sent",
        "ORDER_CANCEL": "a cancel is about to be sent",
        "ORDER_RESULT": "what the venue answered",
        "FILL": "one fill",
        "RISK_HALT": "risk stopped trading",
        "ERROR": "an error with its type, text and stack",
        "READY": "the service became ready",
        "NOT_READY": "the service is no longer ready, with reasons",
        "STOPPING": "a shutdown was asked for",
        "CONFIG_APPLIED": "a configuration entry took effect",
        "CONFIG_REFUSED": "a configuration entry was refused and changed nothing",
        "LOG_LEVEL": "the log level was changed",
        "BUS_CONNECTED": "connected to the bus",
        "BUS_DISCONNECTED": "the bus connection is gone",
        "BUS_ERROR": "the bus client reported an error",
        "BUS_CLOSED": "the bus client closed for good",
        "BUS_LOST": "messages were dropped by a limit",
        "ECHO_LOST": "our own heartbeat did not come back in time",
        "ENDPOINT_FAILED": "an endpoint raised; the caller got the reference",
        "MALFORMED": "bytes that are not what their subject or source promises; no state changed",
        "LOOP_LAG": "the event loop was late",
        "PROJECTION_ERROR": "a projection could not be written; nothing depends on it",
        "LIBRARY": "a line of a library's own log",
        "BATCH_PLACE": "a batch of creates is about to be sent",
        "ORDER_PLACED": "the venue accepted a create",
        "BATCH_PLACE_FAILED": "one create of a batch was not accepted",
        "BATCH_PLACE_SUMMARY": "what became of a batch of creates",
        "BATCH_FAILURE_RATIO": "more than half of a batch was not accepted",
        "BATCH_CANCEL": "a batch of cancels is about to be sent",
        "BATCH_CANCEL_FAILED": "one cancel of a batch was not done",
        "BATCH_CANCEL_SUMMARY": "what became of a batch of cancels",
        "ORDER_AMEND": "an amend is about to be sent",
        "ORDER_DECREASE": "a decrease is about to be sent",
        "ORDER_UNKNOWN": "an outcome is unknown; the market takes no create until evidence settles it",
        "ORDER_REFUSED": "the gate or the risk rules refused an order",
        "ORDER_ADOPTED": "an order of ours found at the venue was taken over",
        "ORDER_FOREIGN": "an order at the venue is not ours",
        "EPOCH": "an epoch was acquired, renewed late or lost",
        "ORDER_GROUP": "an order group was created or triggered",
        "GATE_OPENED": "creates may leave",
        "GATE_CLOSED": "no create may leave, with reasons",
        "HALT": "a halt was latched",
        "HALT_VERIFIED": "nothing rests at the venue, by an empty listing",
        "RESUME": "a resume was accepted",
        "RESUME_REFUSED": "a resume was refused, with the reason",
        "MODE": "the trading mode changed",
        "LIMIT": "a limit changed",
        "PERMIT_OPENED": "leave to trade is given",
        "PERMIT_CLOSED": "leave to trade is withdrawn, with reasons",
        "RISK_TRIGGER": "a risk rule fired",
        "RISK_CLEARED": "a risk rule cleared",
        "RECON_CLEAR": "the witnesses agree",
        "RECONCILIATION_RESULT": "what a comparison of the three witnesses found",
        "RECON_DRIFT": "the witnesses disagree",
        "BOOK_STALE": "a book is no longer known current",
        "BOOK_FRESH": "a book is current again",
        "BOOK_CORRUPT": "a delta proved a book wrong",
        "FEED_CONNECTED": "the venue's feed is connected",
        "FEED_DISCONNECTED": "the venue's feed is gone",
        "FEED_GAP": "the venue's feed skipped a sequence number",
        "MARKET_STATUS": "a market changed its state",
        "MARKET_SETTLED": "a market settled",
        "VENUE_ERROR": "the venue failed or refused a request",
        "RATE_LIMIT": "the venue refused for lack of tokens (429)",
        "RATE_LIMIT_BACKOFF": "creates stay away from a bucket after such a refusal, and for how long",
        "SIM": "the simulated venue reports",
        "SUPERVISOR": "`dora up` started, restarted or stopped a process",
    }
)

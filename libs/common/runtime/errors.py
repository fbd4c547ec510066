"""Every exception of ours, sorted by whose fault it is, because that decides what happens next.

    AssertionError                 our bug: crash, restart through recovery
    ConfigError                    the operator's: names field, value, expectation; exit 2 before connecting
    VenueError                     the venue's
      VenueProtocolError           it broke its protocol: drop the state, ask for a snapshot, withdraw quotes
        BookCorrupt                a delta proves the book wrong
      VenueUnavailable             nothing was done, or a read failed: try again within the budget
      VenueRefused                 a definite no to a read; a refused *order* is a value, never an exception
    bus.api.BusError               the bus's
      BusUnavailable               nothing was sent
      AppendRefused                nothing was stored (`is_fence`: somebody else leads)
      OutcomeUnknown               it may have been stored: a state to handle, never retried blindly
    ProcessEnd                     this process must end, with its exit code
      EchoLost                     the bus no longer carries our own words back: exit 70
      BusClosed                    the client gave up for good: exit 70
      HandlerFailed                a message handler raised: our bug, exit 70
      FenceLost                    another leader was seen: exit 75

`except Exception` lives in two places only: a task's outermost frame, which
logs once and ends the service, and an endpoint's edge, which answers with a
reference. Messages say what was expected and what was found.
"""

from __future__ import annotations

from typing import ClassVar, Final

EXIT_CONFIG: Final = 2
EXIT_CRASH: Final = 70
EXIT_FENCE: Final = 75


class ConfigError(Exception):
    """A configuration value is missing, unknown or wrong; the text names field, value and expectation."""


class VenueError(Exception):
    """Root of what talking to the venue raises."""


class VenueProtocolError(VenueError):
    """The venue said something that its protocol does not allow."""


class BookCorrupt(VenueProtocolError):  # noqa: N818 - named for what was found
    """A delta does not fit the book it is applied to, so the book is not the venue's."""


class VenueUnavailable(VenueError):  # noqa: N818 - named for what was found
    """No usable answer to a question that changes nothing at the venue."""


class VenueRefused(VenueError):  # noqa: N818 - named for what was found
    """A definite refusal of a question, with the venue's own code."""

    def __init__(self, text: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class ProcessEnd(Exception):  # noqa: N818 - named for what it demands
    """The process must end with this exit code; recovery is the next start."""

    exit_code: ClassVar[int] = EXIT_CRASH


class EchoLost(ProcessEnd):
    """Our own heartbeat did not come back in time, whatever the client says about its connection."""


class BusClosed(ProcessEnd):
    """The bus client closed for good (credentials changed, protocol error) and will not come back."""


class HandlerFailed(ProcessEnd):
    """A message handler raised; messages after it were not handled."""


class FenceLost(ProcessEnd):
    """Another leader holds the epoch; the gate is closed for good."""

    exit_code: ClassVar[int] = EXIT_FENCE

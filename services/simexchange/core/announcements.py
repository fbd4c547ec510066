"""What the venue announces ahead: opening hours, maintenance, fee changes, and when rights of a member end.

Telling is all that happens here, with one exception: an announced fee change comes true at its
moment (`Due.FEE`). Pauses are thrown by switch, as they are at the venue: a schedule is a promise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ALL_DAY = (("00:00", "00:00"),)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@dataclass(frozen=True, slots=True)
class FeeChange:
    """One change of a series' fees, or, with an event, of the event's override; both None clear that."""

    change_id: str
    series: str
    event: str
    fee_type: str | None
    multiplier_e4: int | None
    at_ns: int


@dataclass(slots=True)
class Announcements:
    """Everything that was announced.

    Attributes:
        hours: Sessions of each weekday, ``HH:MM`` in US Eastern; a day that is absent is open all day.
        maintenance: Windows, Unix nanoseconds.
        fee_changes: By id, those of the past included.
        attested_until_ns: When a member's location attestation lapses; absent: never attested.
        tier_until_ns: When a member's tier ends; absent: it is permanent.
    """

    hours: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    maintenance: list[tuple[int, int]] = field(default_factory=list)
    fee_changes: dict[str, FeeChange] = field(default_factory=dict)
    attested_until_ns: dict[str, int] = field(default_factory=dict)
    tier_until_ns: dict[str, int] = field(default_factory=dict)

    def fees(self, now_ns: int, *, is_of_events: bool, is_all: bool = False) -> list[FeeChange]:
        """Return announced changes of events, or of whole series, that are still to come; or all."""
        return [
            change
            for change in self.fee_changes.values()
            if bool(change.event) == is_of_events and (is_all or change.at_ns > now_ns)
        ]

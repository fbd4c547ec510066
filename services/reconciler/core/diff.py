"""Compare three witnesses and name the one that stands alone.

Pure and in one pass over what any of them mentions. Equal witnesses differ in
nothing; a witness without an opinion contradicts nobody. Timing is not decided
here: `settle.py` says which opinions are ripe, `policy.py` what to do.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.reconciler.core.witness import ABSENT, FillKey, FillTerms, Name, Resting, Witness


class Kind(enum.StrEnum):
    """What differs; the words of `DriftV1.kind`."""

    ORDERS_ONLY_LOCAL = "orders_only_local"
    """The executor takes the order for resting, the venue does not: a ghost."""
    ORDERS_ONLY_EXCHANGE = "orders_only_exchange"
    """Carries our prefix, the executor does not know it: an orphan."""
    FOREIGN_ORDER = "foreign_order"
    """Rests at the venue with no id of ours: somebody else's hand on the account."""
    ORDER = "order"
    """Any other disagreement about an order: terms, or only our drop copy differs."""
    FILL = "fill"
    POSITION = "position"
    CASH = "cash"


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement with what each witness said; ``residual`` is a number where there is one."""

    kind: Kind
    market: str
    key: str
    executor_says: str
    drop_copy_says: str
    listing_says: str
    odd_one_out: str
    residual: int = 0


SILENT_TEXT = "silent"

_Word = Resting | FillTerms | str | int
"""What a witness says of one thing: its terms, its quantity, or that it is absent."""


def odd_one_out(words: Mapping[Name, _Word | None], is_same: Callable[[_Word, _Word], bool]) -> Name | None:
    """Return the witness that two others contradict, or None when no two agree or none differs."""
    heard = [(name, word) for name, word in words.items() if word is not None]
    if len(heard) < len(Name):
        return None
    for name, word in heard:
        others = [other for other_name, other in heard if other_name is not name]
        if is_same(others[0], others[1]) and not any(is_same(word, other) for other in others):
            return name
    return None


def differs(words: Mapping[Name, _Word | None], is_same: Callable[[_Word, _Word], bool]) -> bool:
    """Return whether any two opinions contradict each other."""
    heard = [word for word in words.values() if word is not None]
    return any(not is_same(first, second) for i, first in enumerate(heard) for second in heard[i + 1 :])


def diff(
    witnesses: Mapping[Name, Witness],
    *,
    is_ours: Callable[[Resting], bool],
    fill_times_ms: Mapping[FillKey, int],
) -> tuple[Difference, ...]:
    """Return every disagreement about orders, fills and positions, in a fixed order.

    Args:
        witnesses: All three; one that is not heard is `SILENT`.
        is_ours: Whether an order carries our prefix.
        fill_times_ms: Venue time of each fill that any witness mentions.
    """
    return (
        *_order_differences(witnesses, is_ours),
        *_fill_differences(witnesses, fill_times_ms),
        *_position_differences(witnesses),
    )


def _order_differences(
    witnesses: Mapping[Name, Witness], is_ours: Callable[[Resting], bool]
) -> list[Difference]:
    found: list[Difference] = []
    keys = sorted({key for witness in witnesses.values() for key in witness.orders or ()})
    for key in keys:
        words: dict[Name, _Word | None] = {name: w.order(key) for name, w in witnesses.items()}
        moving = any(key in witness.moving for witness in witnesses.values())
        sample = next(
            witness.orders[key] for witness in witnesses.values() if witness.orders and key in witness.orders
        )

        def is_same(first: _Word, second: _Word, *, moving: bool = moving) -> bool:
            if isinstance(first, Resting) and isinstance(second, Resting):
                return moving or _terms(first) == _terms(second)
            return first == second

        ours = is_ours(sample)
        executor, listing = words[Name.EXECUTOR], words[Name.LISTING]
        if not ours:
            # The executor never speaks of orders that are not its own; who else sees one is enough.
            if any(isinstance(word, Resting) for word in words.values()):
                found.append(_difference(Kind.FOREIGN_ORDER, sample.market, key, words))
            continue
        if not differs(words, is_same):
            continue
        venue = listing if listing is not None else words[Name.DROP_COPY]
        kind = Kind.ORDER
        if isinstance(executor, Resting) and venue == ABSENT:
            kind = Kind.ORDERS_ONLY_LOCAL
        elif executor == ABSENT and isinstance(venue, Resting):
            kind = Kind.ORDERS_ONLY_EXCHANGE
        found.append(_difference(kind, sample.market, key, words, odd=odd_one_out(words, is_same)))
    return found


def _fill_differences(
    witnesses: Mapping[Name, Witness], fill_times_ms: Mapping[FillKey, int]
) -> list[Difference]:
    found: list[Difference] = []
    for key in sorted({key for witness in witnesses.values() for key in witness.fills or ()}):
        words: dict[Name, _Word | None] = {
            name: witness.fill(key, fill_times_ms[key]) for name, witness in witnesses.items()
        }
        if differs(words, _is_equal):
            market = next(word.market for word in words.values() if isinstance(word, FillTerms))
            text = f"{key.trade_id}/{key.order_id}"
            found.append(_difference(Kind.FILL, market, text, words, odd=odd_one_out(words, _is_equal)))
    return found


def _position_differences(witnesses: Mapping[Name, Witness]) -> list[Difference]:
    found: list[Difference] = []
    for market in sorted({market for witness in witnesses.values() for market in witness.positions or ()}):
        words: dict[Name, _Word | None] = {name: w.position(market) for name, w in witnesses.items()}
        if differs(words, _is_equal):
            heard = [word for word in words.values() if isinstance(word, int)]
            odd = odd_one_out(words, _is_equal)
            residual = max(heard) - min(heard)
            found.append(_difference(Kind.POSITION, market, market, words, odd=odd, residual=residual))
    return found


def _is_equal(first: object, second: object) -> bool:
    return first == second


def _terms(order: Resting) -> tuple[object, ...]:
    return (order.market, order.side, order.price_e4, order.remaining_e2)


def _difference(
    kind: Kind,
    market: str,
    key: str,
    words: Mapping[Name, _Word | None],
    *,
    odd: Name | None = None,
    residual: int = 0,
) -> Difference:
    return Difference(
        kind,
        market,
        key,
        _text(words[Name.EXECUTOR]),
        _text(words[Name.DROP_COPY]),
        _text(words[Name.LISTING]),
        "" if odd is None else odd.value,
        residual,
    )


def _text(word: _Word | None) -> str:
    if word is None:
        return SILENT_TEXT
    if isinstance(word, Resting | FillTerms):
        return word.text()
    return str(word)

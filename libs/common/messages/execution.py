"""What the executor publishes: its epoch, its journal, orders, fills and positions."""

from __future__ import annotations

import enum

from libs.common.domain.side import Side
from libs.common.messages.base import Wire


class OrderState(enum.StrEnum):
    """Where an order is in its life; the transition table is ``services/executor/core/order_life.py``."""

    PLANNED = "planned"
    INTENDED = "intended"
    SENT = "sent"
    RESTING = "resting"
    PARTLY_FILLED = "partly_filled"
    CANCEL_PENDING = "cancel_pending"
    AMEND_PENDING = "amend_pending"
    UNKNOWN = "unknown"
    EXECUTED = "executed"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class Action(enum.StrEnum):
    """What a request does."""

    CREATE = "create"
    AMEND = "amend"
    DECREASE = "decrease"
    CANCEL = "cancel"


class Purpose(enum.StrEnum):
    """Why an order exists, which decides how its end is confirmed (D-012)."""

    MAKER = "maker"
    """A resting quote: not being filled yet is normal, however long it takes."""
    EXIT = "exit"
    """Immediate or cancel, reduce-only: only ever makes a position smaller."""
    MANUAL = "manual"
    """A person asked for it, with a limit to how long it may rest."""


class EpochV1(Wire, frozen=True, kw_only=True):
    """``exec.epoch``: its own stream sequence is the fencing token; number counts epochs from 1."""

    account: str
    number: int
    holder: str
    run: str
    build: str
    config_hash: str
    started_ns: int
    genesis_balance_e6: int | None = None
    """On the account's first epoch only: cash on all shards before any order of ours."""
    genesis_ms: int | None = None
    """Venue time of that balance; fills and settlements before it are not ours to explain."""
    genesis_shards_e6: tuple[tuple[int, int], ...] = ()
    """The same cash by shard; empty where the venue told no breakdown, or the epoch is older than this."""


class RenewV1(Wire, frozen=True, kw_only=True):
    """``exec.renew``."""

    account: str
    epoch: int
    holder: str
    counter: int
    is_released: bool = False
    """The leader's last word at an orderly end: the next one need not wait for the lease."""


class OrderGroupV1(Wire, frozen=True, kw_only=True):
    """``exec.group``: journalled before first use, never reset."""

    account: str
    epoch: int
    shard: int
    order_group_id: str
    limit_e2: int


class IntentItemV1(Wire, frozen=True, kw_only=True):
    """One request of a batch."""

    action: Action
    market: str
    shard: int
    client_order_id: str
    order_id: str = ""
    side: Side
    price_e4: int
    qty_e2: int
    """Create: quantity. Amend: new total. Decrease: wanted remaining. Cancel: 0."""
    order_group_id: str = ""
    expires_ms: int = 0
    decision_id: str
    book_sequence: int = 0
    purpose: Purpose = Purpose.MAKER


class IntentV1(Wire, frozen=True, kw_only=True):
    """``exec.intent``: one batch, acknowledged before the request leaves."""

    account: str
    epoch: int
    batch: int
    items: tuple[IntentItemV1, ...]
    issued_ns: int


class ResultItemV1(Wire, frozen=True, kw_only=True):
    """What became of one request."""

    client_order_id: str
    action: Action
    outcome: str
    """``accepted``, ``refused``, ``unknown``, ``unsent``."""
    order_id: str = ""
    code: str = ""
    fill_e2: int = 0
    remaining_e2: int = 0


class ResultV1(Wire, frozen=True, kw_only=True):
    """``exec.result``: answers the intent with the same batch number."""

    account: str
    epoch: int
    batch: int
    status: int
    """HTTP status, 0 if there was no answer."""
    latency_us: int
    items: tuple[ResultItemV1, ...]


class OrderV1(Wire, frozen=True, kw_only=True):
    """``order``: newest state of one order; message id: account, client order id, writer's epoch, version."""

    account: str
    market: str
    shard: int
    client_order_id: str
    order_id: str
    decision_id: str
    epoch: int
    side: Side
    price_e4: int
    initial_e2: int
    filled_e2: int
    remaining_e2: int
    state: OrderState
    reason: str
    version: int
    order_group_id: str
    updated_ns: int
    purpose: Purpose = Purpose.MAKER
    created_ns: int = 0
    """When this process first heard of it; 0 where the writer did not say."""


class FillV1(Wire, frozen=True, kw_only=True):
    """``fill``: message id is trade id and order id; counted once whatever path it came by."""

    account: str
    market: str
    shard: int
    trade_id: str
    order_id: str
    client_order_id: str
    decision_id: str
    side: Side
    price_e4: int
    qty_e2: int
    fee_e6: int
    is_taker: bool
    venue_ms: int
    position_after_e2: int
    pnl_delta_e6: int


class RestingV1(Wire, frozen=True, kw_only=True):
    """Own quantity at one price; what the consumer takes out of the displayed book."""

    side: Side
    price_e4: int
    qty_e2: int


class PositionV1(Wire, frozen=True, kw_only=True):
    """``position``: last value, on change and every second. The strategy quotes nothing without it."""

    account: str
    market: str
    epoch: int
    sequence: int
    """Per market within the epoch, from 1."""
    qty_e2: int
    """Signed: positive YES, negative NO."""
    cost_e6: int
    realised_e6: int
    fees_e6: int
    resting: tuple[RestingV1, ...]
    has_unknown: bool
    """True while an order of this market is UNKNOWN: own quantity is then uncertain, quote nothing."""
    is_settled: bool = False


class AuditExecV1(Wire, frozen=True, kw_only=True):
    """``audit.exec``: an execution event with the fields of rows B-042 to B-050 and C-034 to C-036."""

    event_type: str
    account: str
    run: str
    epoch: int
    decision_id: str
    market: str
    client_order_id: str = ""
    order_id: str = ""
    side: str = ""
    price_e4: int = 0
    qty_e2: int = 0
    status: str = ""
    latency_us: int = 0
    rule: str = ""
    limit: int = 0
    was: int = 0
    reason: str = ""
    event_ns: int
    by: str = ""
    """Who asked, where a person did."""
    unit: str = ""
    """What ``limit`` and ``was`` count in, for example ``dollars_e6``."""

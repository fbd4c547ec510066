"""One connection of the drop copy: whole only when everything is subscribed, ended by what cannot be read."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pytest

from libs.common.kalshi import feed_events, session, wire_feed
from libs.common.kalshi.model import FeedClosed, FeedHeard, OwnFill
from services.reconciler.core.own_session import CHANNELS, OwnSession
from tests.unit.services.reconciler.test_own_wire import FILL, frame

S = 1_000_000_000


def subscribed(channel: str, sid: int, stamp_ms: int = 5) -> bytes:
    return _reply(type="subscribed", id=1, msg={"channel": channel, "sid": sid}, sending_ts_ms=stamp_ms)


def _reply(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.fixture
def whole() -> OwnSession:
    made = OwnSession()
    made.open()
    for sid, channel in enumerate(CHANNELS, 1):
        made.receive(subscribed(channel, sid), S)
    return made


def test_the_first_command_subscribes_to_the_three_channels() -> None:
    (command,) = OwnSession().open()
    assert json.loads(command) == {"id": 1, "cmd": "subscribe", "params": {"channels": list(CHANNELS)}}


def test_nothing_counts_as_heard_before_every_channel_has_answered() -> None:
    made = OwnSession()
    made.open()
    heard = [made.receive(subscribed(channel, sid, 5 + sid), S) for sid, channel in enumerate(CHANNELS, 1)]
    assert heard == [[], [], [FeedHeard(8)]]


def test_a_fill_is_told_with_the_time_of_its_frame(whole: OwnSession) -> None:
    fill, heard = whole.receive(frame("fill", FILL), S)
    assert isinstance(fill, OwnFill)
    assert heard == FeedHeard(9)
    assert len(whole.receive(frame("fill", FILL), S)) == 1, "the same instant is heard once"


@pytest.mark.parametrize(
    "bad",
    [
        b"garbage",
        frame("fill", FILL | {"count_fp": "many"}),
        frame("user_order", {}),
        frame("market_position", {"market_ticker": "KX-1"}),
        b"x" * (8 * 1024 * 1024 + 1),
    ],
    ids=["no json", "number", "empty", "part", "oversize"],
)
def test_a_frame_that_cannot_be_read_ends_the_connection_and_is_counted(
    whole: OwnSession, bad: bytes
) -> None:
    assert whole.receive(bad, S) == []
    assert whole.failure is not None
    assert whole.faults["unreadable"] == 1


def test_a_type_that_is_none_of_ours_changes_nothing(whole: OwnSession) -> None:
    assert whole.receive(_reply(type="weather", sid=9, msg={"rain": True}), S) == []
    assert whole.failure is None
    assert whole.faults["unknown_type"] == 1


@pytest.mark.parametrize(
    "reply",
    [
        {"type": "error", "id": 1, "msg": {"code": 6, "msg": "already"}},
        {"type": "error", "sid": 1, "msg": {"code": 25, "msg": "slow"}},
        {"type": "unsubscribed", "sid": 1},
    ],
)
def test_a_refusal_or_a_lost_subscription_ends_the_connection(
    whole: OwnSession, reply: dict[str, Any]
) -> None:
    whole.receive(_reply(**reply), S)
    assert whole.failure is not None


def test_a_sign_of_life_is_asked_for_each_second_and_its_answer_is_heard(whole: OwnSession) -> None:
    whole.tick(2 * S)
    (ask,) = whole.commands()
    asked = json.loads(ask)
    assert asked["cmd"] == "list_subscriptions"
    whole.tick(3 * S)
    assert not whole.has_commands, "one question at a time"
    assert whole.receive(_reply(type="ok", id=asked["id"], msg=[], sending_ts_ms=77), 3 * S) == [
        FeedHeard(77)
    ]
    whole.tick(4 * S)
    assert whole.has_commands


def test_a_question_that_is_never_answered_ends_the_connection() -> None:
    made = OwnSession()
    made.open()
    made.tick(S)
    made.tick(15 * S)
    assert made.failure is None
    made.tick(17 * S)
    assert made.failure is not None


def test_a_new_connection_begins_from_nothing(whole: OwnSession) -> None:
    whole.receive(b"garbage", S)
    assert whole.close("ended") == [FeedClosed("ended")]
    assert whole.failure is None
    assert json.loads(whole.open()[0])["id"] == 1
    assert whole.receive(subscribed("fill", 1), S) == []


def test_the_parser_of_the_executor_may_break_and_the_drop_copy_hears(
    whole: OwnSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frontier 4.17: one mistake must not reach two witnesses."""

    def broken(*_: object) -> NoReturn:
        raise AssertionError("the shared parser was used")

    monkeypatch.setattr(feed_events, "private_of", broken)
    monkeypatch.setattr(session, "private_of", broken)
    monkeypatch.setattr(session, "_decode", broken)
    for module in (feed_events, wire_feed):
        for name in ("cash_e6", "count_e2", "price_e4", "qty_e2", "side_of", "status_of"):
            monkeypatch.setattr(module, name, broken, raising=False)
    assert isinstance(whole.receive(frame("fill", FILL), S)[0], OwnFill)

"""What the reconciler's own parser reads of the private feed is what the venue's contract promises."""

from __future__ import annotations

import msgspec
import pytest

from services.reconciler.core import own_wire
from services.reconciler.core.own_session import CHANNELS
from tests.contract.test_spec_yaml import differences, is_news, named, resolve

CONTENTS = [
    (own_wire.FillContent, "fillPayload", "fill"),
    (own_wire.OrderContent, "userOrderPayload", "user_order"),
    (own_wire.PositionContent, "marketPositionPayload", "market_position"),
    (own_wire.SubscribedContent, "subscribedResponsePayload", "subscribed"),
    (own_wire.ErrorContent, "errorResponsePayload", "error"),
]


@pytest.mark.parametrize(("kind", "schema", "tag"), CONTENTS, ids=[tag for _, _, tag in CONTENTS])
def test_each_field_that_we_read_is_promised(kind: type[msgspec.Struct], schema: str, tag: str) -> None:
    theirs = named("asyncapi.yaml", schema)

    assert theirs["properties"]["type"].get("const", tag) == tag
    content = resolve("asyncapi.yaml", theirs["properties"]["msg"])
    assert [found for found in differences("asyncapi.yaml", kind, content) if is_news(found)] == []


def test_every_status_that_is_promised_is_known() -> None:
    theirs = named("asyncapi.yaml", "userOrderPayload")
    content = resolve("asyncapi.yaml", theirs["properties"]["msg"])
    status = resolve("asyncapi.yaml", content["properties"]["status"])

    assert set(status["enum"]) <= set(own_wire._STATUSES)


def test_the_channels_that_we_ask_for_are_promised() -> None:
    enum = named("asyncapi.yaml", "subscribeCommandPayload")["properties"]["params"]["properties"]["channels"]

    assert set(CHANNELS) - set(enum["items"]["enum"]) <= {"market_positions"}

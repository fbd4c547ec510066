"""What was proven not sent is wanted again, but not as fast as the proof came."""

from __future__ import annotations

import pytest

from services.executor.core.answers import CANCEL_NOT_CONFIRMED, NotSent
from services.executor.core.effects import Effect
from tests.support.executor_builders import BOTH, Desk, a_desk, batches


def answer_unsent(desk: Desk, effects: list[Effect], reason: str) -> None:
    for batch in batches(effects):
        for approved in batch.creates:
            client = approved.request.client_order_id
            desk.engine.intake.on_create_answer(client, NotSent(reason), desk.now)
        desk.engine.batch_answered()


@pytest.mark.parametrize("reason", ["connect_failed", "journal_refused", "halt_heard"])
def test_an_unreachable_venue_is_not_asked_again_at_once(reason: str) -> None:
    desk = a_desk()

    answer_unsent(desk, desk.quote(*BOTH), reason)

    assert batches(desk.engine.run_pass(desk.now)) == []
    desk.later(0.5)
    desk.prove()
    assert len(batches(desk.engine.run_pass(desk.now))) == 1


def test_a_place_that_was_not_free_is_asked_for_again_with_the_next_pass() -> None:
    desk = a_desk()

    answer_unsent(desk, desk.quote(*BOTH), CANCEL_NOT_CONFIRMED)

    assert len(batches(desk.engine.run_pass(desk.now))) == 1

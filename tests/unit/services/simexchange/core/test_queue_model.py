from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.simexchange.core.queue_model import QueueModel, ahead_after_cancel


@pytest.mark.parametrize(
    ("model", "ahead_e2"),
    [(QueueModel.PESSIMISTIC, 60), (QueueModel.PROPORTIONAL, 48), (QueueModel.OPTIMISTIC, 40)],
)
def test_a_cancel_moves_an_order_as_its_model_says(model: QueueModel, ahead_e2: int) -> None:
    assert ahead_after_cancel(model, ahead_e2=60, level_e2=100, cancelled_e2=20) == ahead_e2


def test_even_the_pessimist_sees_cancels_ahead_when_nothing_is_left_behind() -> None:
    assert ahead_after_cancel(QueueModel.PESSIMISTIC, ahead_e2=60, level_e2=100, cancelled_e2=90) == 10


@given(st.data())
def test_models_keep_their_order_and_stay_within_the_level(data: st.DataObject) -> None:
    level_e2 = data.draw(st.integers(0, 10_000))
    ahead_e2 = data.draw(st.integers(0, level_e2))
    cancelled_e2 = data.draw(st.integers(0, level_e2))
    pessimistic, proportional, optimistic = (
        ahead_after_cancel(model, ahead_e2, level_e2, cancelled_e2) for model in QueueModel
    )
    assert level_e2 - cancelled_e2 >= pessimistic >= proportional >= optimistic >= 0

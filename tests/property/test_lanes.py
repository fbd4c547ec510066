"""The choice of lanes never spends what is not there, and leaves nobody waiting who could be paid."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.executor.core.lanes import UNSCOPED, Load, Way, choose

CREATE, CANCEL, AMEND = 10, 2, 10
shards = st.integers(0, 3)
creates = st.builds(lambda shard: Load(shard, CREATE, CREATE), shards)
moves = st.builds(lambda shard: Load(shard, CREATE + CANCEL, AMEND, is_move=True), shards)
replaced = st.builds(lambda shard: Load(shard, CREATE + CANCEL, CREATE, CANCEL), shards)
knots = st.builds(
    lambda shard, n: Load(shard, n * (CREATE + CANCEL), None, n * CANCEL), shards, st.integers(2, 4)
)
decreases = st.builds(lambda shard: Load(shard, None, AMEND), shards)
loads = st.lists(st.one_of(creates, moves, replaced, knots, decreases), max_size=30)
tokens = st.dictionaries(st.integers(0, 3), st.integers(0, 200), max_size=4)


def spent(given_loads: list[Load], ways: list[Way]) -> dict[int, int]:
    """Return what the choice takes from each bucket."""
    taken = dict.fromkeys(range(4), 0)
    for load, way in zip(given_loads, ways, strict=True):
        if way is Way.BATCH:
            assert load.batch is not None
            taken[UNSCOPED] += load.batch
        elif way is Way.SINGLE:
            assert load.single is not None
            taken[load.shard] += load.single
            taken[UNSCOPED] += load.beside
    return taken


@settings(max_examples=1_000)
@given(loads=loads, tokens=tokens, moves_min=st.integers(0, 4), low_water=st.integers(0, 60))
def test_lanes_never_spend_more_than_a_bucket_holds(
    loads: list[Load], tokens: dict[int, int], moves_min: int, low_water: int
) -> None:
    taken = spent(loads, choose(loads, tokens, moves_min=moves_min, low_water=low_water))
    assert all(taken[shard] <= tokens.get(shard, 0) for shard in taken)


@settings(max_examples=1_000)
@given(loads=loads, tokens=tokens)
def test_no_change_waits_while_a_bucket_could_pay_for_it(loads: list[Load], tokens: dict[int, int]) -> None:
    """Judged without the second rule: saving calls may take what came later, but never from who goes now."""
    ways = choose(loads, tokens, moves_min=0, low_water=10**9)
    left = {shard: tokens.get(shard, 0) - cost for shard, cost in spent(loads, ways).items()}
    for load, way in zip(loads, ways, strict=True):
        if way is not Way.WAIT:
            continue
        assert load.batch is None or load.batch > left[UNSCOPED]
        if load.single is not None:
            beside = load.beside + (load.single if load.shard == UNSCOPED else 0)
            assert beside > left[UNSCOPED] or load.single > left[load.shard]


@settings(max_examples=500)
@given(loads=loads, tokens=tokens, moves_min=st.integers(0, 4), low_water=st.integers(0, 60))
def test_saving_calls_sends_home_nobody(
    loads: list[Load], tokens: dict[int, int], moves_min: int, low_water: int
) -> None:
    plain = choose(loads, tokens, moves_min=0, low_water=10**9)
    saving = choose(loads, tokens, moves_min=moves_min, low_water=low_water)
    assert [way is Way.WAIT for way in plain] == [way is Way.WAIT for way in saving]


def test_plenty_of_tokens_makes_one_batch_of_everything() -> None:
    many = [Load(shard, 12, 10, is_move=True) for shard in (0, 1, 2, 1)]
    assert choose(many, dict.fromkeys(range(4), 500), moves_min=3) == [Way.BATCH] * 4


def test_a_lone_move_is_amended_whatever_there_is() -> None:
    moves = [Load(2, 12, 10, is_move=True)] * 2
    assert choose(moves, dict.fromkeys(range(4), 500), moves_min=3) == [Way.SINGLE] * 2


def test_an_empty_unscoped_bucket_leaves_each_shard_its_own() -> None:
    many = [Load(0, 10, 10), Load(1, 10, 10), Load(2, 10, 10), Load(2, 10, 10)]
    assert choose(many, {0: 0, 1: 10, 2: 10}) == [Way.WAIT, Way.SINGLE, Way.SINGLE, Way.WAIT]


def test_the_most_important_changes_get_the_tokens() -> None:
    many = [Load(0, 12, 10, is_move=True)] * 3
    assert choose(many, {0: 22}, moves_min=3) == [Way.SINGLE, Way.SINGLE, Way.WAIT]

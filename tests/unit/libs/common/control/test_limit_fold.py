"""Changes of limits: down by anybody, up within the configuration and for a time, in the stream's order."""

from __future__ import annotations

import itertools

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from libs.common.control.admission import Admission
from libs.common.control.limits import RAISE_MS_MAX, LimitFold, flat
from libs.common.messages.risk import LimitV1
from services.riskguard.core.limit_changes import is_changeable
from tests.support.resumes import UNSIGNED, Person, a_limit, a_raise, verifier_of
from tests.support.riskguard_limits import WIDE

AT_MS = 1_700_000_000_000
CAP = 100
NAME = "position_e2"


def value(fold: LimitFold, now_ms: int = AT_MS) -> int:
    return fold.now(NAME, CAP, now_ms).value


def test_without_a_nonce_only_down() -> None:
    fold = LimitFold("main")
    for sequence, (said, is_now) in enumerate([(50, 50), (70, 50), (30, 30), (10**9, 30), (-5, 0)], start=1):
        fold.take(sequence, a_limit(NAME, said))
        assert value(fold) == is_now


def test_raise_goes_up_to_the_configuration_until_its_end() -> None:
    fold = LimitFold("main")
    fold.take(1, a_limit(NAME, 50))
    fold.take(2, a_raise(NAME, 10**6, after=1, at_ms=AT_MS, until_ms=AT_MS + 10))
    assert value(fold) == CAP
    assert value(fold, AT_MS + 9) == CAP
    assert value(fold, AT_MS + 10) == 50
    fold.take(3, a_limit(NAME, 80))
    assert value(fold) == 80, "lowering holds from now on"
    assert value(fold, AT_MS + 10) == 50


def test_raise_that_overtook_a_change_is_void_and_one_that_begins_later_waits() -> None:
    fold = LimitFold("main")
    fold.take(1, a_limit(NAME, 50))
    fold.take(2, a_limit(NAME, 40))
    fold.take(3, a_raise(NAME, 60, after=1, at_ms=AT_MS))
    assert value(fold) == 40
    fold.take(4, a_raise(NAME, 60, after=3, at_ms=AT_MS), AT_MS + 300_000)
    assert (value(fold), value(fold, AT_MS + 300_000)) == (40, 60)


def test_raise_without_signature_or_end_is_skipped_and_breaks_the_chain_for_everybody_alike() -> None:
    ann = Person("ann")
    admission = Admission(verifier_of(ann, required=1))
    fold = LimitFold("main")
    assert admission.limit(fold, 1, a_limit(NAME, 50), AT_MS) == (True, "")
    unsigned = a_raise(NAME, 60, after=1, at_ms=AT_MS)
    is_new, refusal = admission.limit(fold, 2, unsigned, AT_MS)
    assert not is_new
    assert "1 signatures" in refusal
    endless = msgspec.structs.replace(unsigned, until_ms=None)
    endless = msgspec.structs.replace(endless, signatures=(ann.sign(endless),))
    assert "end" in admission.limit(fold, 3, endless, AT_MS)[1]
    assert (value(fold), fold.newest) == (50, 3)
    right = a_raise(NAME, 60, after=3, at_ms=AT_MS)
    right = msgspec.structs.replace(right, signatures=(ann.sign(right),))
    assert admission.limit(fold, 4, right, AT_MS) == (True, "")
    assert value(fold) == 60


def test_raise_for_longer_than_a_month_is_skipped_whoever_signed_it() -> None:
    admission, fold = Admission(UNSIGNED), LimitFold("main")
    fold.take(1, a_limit(NAME, 50))
    for sequence, more_ms in ((2, 60_000), (3, 0)):
        raised = a_raise(NAME, 60, after=sequence - 1, at_ms=AT_MS, until_ms=AT_MS + RAISE_MS_MAX + more_ms)
        is_new, refusal = admission.limit(fold, sequence, raised, AT_MS)
        assert (is_new, bool(refusal)) == (not more_ms, bool(more_ms))
        assert value(fold) == (50 if more_ms else 60)


changes = st.lists(
    st.one_of(
        st.builds(lambda value: ("down", value), st.integers(-5, 200)),
        st.builds(lambda value: ("up", value), st.integers(-5, 200)),
    ),
    max_size=5,
)


def folded(stored: list[tuple[int, LimitV1]]) -> LimitFold:
    fold, admission = LimitFold("main"), Admission(UNSIGNED)
    for sequence, limit in stored:
        admission.limit(fold, sequence, limit, AT_MS)
    return fold


@given(changes)
def test_order_of_arrival_changes_nothing_and_nothing_is_above_the_configuration(
    said: list[tuple[str, int]],
) -> None:
    stored = [
        (at, a_limit(NAME, v) if way == "down" else a_raise(NAME, v, after=at - 1, at_ms=AT_MS))
        for at, (way, v) in enumerate(said, start=1)
    ]
    wanted = folded(stored)
    assert 0 <= value(wanted) <= CAP
    for arrival in itertools.islice(itertools.permutations(stored), 24):
        fold = folded(list(arrival))
        assert (value(fold), fold.hash()) == (value(wanted), wanted.hash())


def test_nested_limits_and_switches_are_changed_by_dotted_names() -> None:
    fold = LimitFold("main")
    fold.take(1, a_limit("money.balance_drop_e6", 7))
    fold.take(2, a_limit("trading_enabled", 0))
    limits = fold.applied(WIDE, AT_MS)
    assert limits.money.balance_drop_e6 == 7
    assert limits.trading_enabled is False
    same = {name for name, cap in flat(WIDE).items() if flat(limits)[name] == cap}
    assert flat(WIDE).keys() - same == {"money.balance_drop_e6", "trading_enabled"}


def test_hash_tells_who_holds_other_changes() -> None:
    one, other = LimitFold("main"), LimitFold("main")
    assert one.hash() == other.hash()
    one.take(1, a_limit(NAME, 50))
    assert one.hash() != other.hash()
    other.take(1, a_limit(NAME, 50))
    assert one.hash() == other.hash()


def test_setting_is_changed_by_no_record_whatever_it_says() -> None:
    fold = LimitFold("main", is_changeable)
    said = list(flat(WIDE))
    for sequence, name in enumerate(said, start=1):
        fold.take(sequence, a_limit(name, 0))
    limits = flat(fold.applied(WIDE, AT_MS))
    settings = {name for name in said if not is_changeable(name)}
    assert {"conduct.repeated_window_ms", "slow.forbid_transfers", "slow.disk_free_mb_min"} <= settings
    assert {name: limits[name] for name in settings} == {name: flat(WIDE)[name] for name in settings}
    assert not any(value for name, value in limits.items() if name not in settings)
    assert fold.now("slow.forbid_transfers", 1, AT_MS).change is None

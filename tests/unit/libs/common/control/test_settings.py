"""How many people a mode wants, refused at the start and not at the resume."""

from __future__ import annotations

import string

import pytest

from libs.common.control.settings import Control
from libs.common.env import Env
from tests.support.resumes import Person, control_of

ANN, BOB = Person("ann"), Person("bob")
_LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"


def in_other_letters(public: str) -> str:
    """Return another text of base64 for the same 32 bytes: two bits of the last letter say nothing."""
    return public[:-2] + _LETTERS[_LETTERS.index(public[-2]) ^ 1] + "="


@pytest.mark.parametrize(("env", "least"), [(Env.SIM, 0), (Env.PAPER, 0), (Env.DEMO, 1), (Env.LIVE, 2)])
def test_each_mode_has_its_least_and_takes_it_by_itself(env: Env, least: int) -> None:
    people = (ANN, BOB)
    assert Control().required(env) == least
    control_of(*people, required=least).check(env)
    control_of(*people, required=least + 1 if least < 2 else 2).check(env)
    if least:
        with pytest.raises(ValueError, match="signatures_required"):
            control_of(*people, required=least - 1).check(env)


def test_live_takes_one_person_only_with_five_minutes_of_delay() -> None:
    control_of(ANN, required=1, delay_s=300).check(Env.LIVE)
    for required, delay_s in ((1, 299), (1, 0), (0, 86_400)):
        with pytest.raises(ValueError, match="signatures_required"):
            control_of(ANN, BOB, required=required, delay_s=delay_s).check(Env.LIVE)


def test_live_wants_as_many_people_as_must_sign() -> None:
    with pytest.raises(ValueError, match=r"2 people in control.signers, were 1"):
        control_of(ANN, required=2).check(Env.LIVE)


@pytest.mark.parametrize(
    "signers",
    [
        {"": ANN.public},
        {"a:b": ANN.public},
        {"ann": "x"},
        {"ann": ANN.public, "bob": ANN.public},
        {"ann": ANN.public, "bob": in_other_letters(ANN.public)},
    ],
)
def test_person_without_name_or_key_and_one_key_for_two_people_are_refused(signers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"control.signers"):
        Control(signers=signers).check(Env.SIM)

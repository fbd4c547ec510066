from __future__ import annotations

from libs.cli.restarts import Restart, RestartRule, StayDown


def test_the_pause_doubles_from_half_a_second_to_ten() -> None:
    rule = RestartRule()

    pauses = [rule.on_exit(float(n), 0.1, 1) for n in range(7)]

    assert pauses == [Restart(s) for s in (0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0)]


def test_thirty_seconds_of_life_forget_the_pauses() -> None:
    rule = RestartRule()
    rule.on_exit(0.0, 0.1, -9)
    rule.on_exit(1.0, 0.1, -9)

    assert rule.on_exit(40.0, 30.0, -9) == Restart(0.5)


def test_a_refused_configuration_is_never_restarted() -> None:
    verdict = RestartRule().on_exit(0.0, 0.1, 2)

    assert isinstance(verdict, StayDown)
    assert "configuration" in verdict.reason


def test_what_keeps_dying_stays_down() -> None:
    rule = RestartRule(restarts_max=3, window_s=60.0)
    verdicts = [rule.on_exit(float(n), 0.1, 1) for n in range(4)]

    assert [type(v) for v in verdicts] == [Restart, Restart, Restart, StayDown]


def test_deaths_outside_the_window_do_not_count() -> None:
    rule = RestartRule(restarts_max=1, window_s=60.0)
    rule.on_exit(0.0, 0.1, 1)

    assert isinstance(rule.on_exit(61.0, 0.1, 1), Restart)


def test_what_lost_its_world_does_not_come_back() -> None:
    assert isinstance(RestartRule(is_wanted=False).on_exit(0.0, 100.0, -9), StayDown)

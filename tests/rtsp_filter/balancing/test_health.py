"""Health checks as a schedule."""

from mesh.model import Endpoint
from rtsp_filter.balancing import HealthCheck, HealthSchedule, Host, Probe, Question
from rtsp_filter.balancing.health import Target

_CHECK = HealthCheck(probe=Probe.OPTIONS, interval=5, timeout=1, healthy_threshold=2, unhealthy_threshold=3)


def _targets(*numbers: int, check: HealthCheck = _CHECK) -> dict[Target, tuple[Host, HealthCheck]]:
    hosts = [Host(endpoint=Endpoint(name=f"cam{number}", address="192.0.2.1", port=554)) for number in numbers]
    return {("c", host.key): (host, check) for host in hosts}


def _schedule(*numbers: int) -> HealthSchedule:
    schedule = HealthSchedule()
    schedule.update(_targets(*numbers), 0.0)
    return schedule


def _names(questions: list[Question]) -> list[str]:
    return [question.host.endpoint.name for question in questions]


def test_new_endpoints_are_asked_at_once_and_again_an_interval_after_their_answer() -> None:
    schedule = _schedule(1, 2)
    first, second = schedule.due(0.0)
    assert schedule.next_timer() is None
    schedule.answered(first, True, 0.5)
    schedule.answered(second, True, 2.0)
    assert schedule.next_timer() == 5.5
    assert _names(schedule.due(5.5)) == ["cam1"]
    assert schedule.next_timer() == 7.0


def _verdicts(answers: str) -> list[bool | None]:
    """What answers, "+" or "-", make of an endpoint."""
    schedule = _schedule(1)
    now, verdicts = 0.0, []
    for answer in answers:
        (question,) = schedule.due(now)
        verdicts.append(schedule.answered(question, answer == "+", now))
        now += 5
    return verdicts


def test_the_first_answer_counts_at_once() -> None:
    assert _verdicts("+") == [True]
    assert _verdicts("-") == [False]


def test_later_so_many_in_a_row_are_needed_as_the_thresholds_say() -> None:
    assert _verdicts("+--+---") == [True, True, True, True, True, True, False]
    assert _verdicts("-+-++") == [False, False, False, False, True]


def test_whoever_stays_keeps_his_time_and_whoever_goes_is_asked_no_more() -> None:
    schedule = _schedule(1, 2)
    for question in schedule.due(0.0):
        schedule.answered(question, True, 0.0)
    schedule.update(_targets(2, 3), 1.0)
    assert _names(schedule.due(1.0)) == ["cam3"]
    assert _names(schedule.due(5.0)) == ["cam2"]


def test_an_answer_to_a_question_of_before_a_change_is_of_no_interest() -> None:
    schedule = _schedule(1)
    (old,) = schedule.due(0.0)
    schedule.update({}, 1.0)
    assert schedule.answered(old, False, 1.0) is None
    schedule.update(_targets(1), 2.0)
    assert schedule.answered(old, False, 2.0) is None
    assert _names(schedule.due(2.0)) == ["cam1"]
    assert schedule.next_timer() is None

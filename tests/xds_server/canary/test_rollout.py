"""One canary's way: up while it does well, down at once when it does not, and never anywhere else."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from mesh.gateways import Canary, LossLimit
from mesh.objects import ObjectName
from xds_server.canary import Evidence, Phase, Rollout

NEW = ObjectName("default", "new")
CANARY = Canary(backend=NEW, steps=(5, 50, 100), interval=60.0, min_setups=10, max_failed=0.2)
LOSSY = Canary(
    backend=NEW,
    steps=(5, 50),
    interval=60.0,
    min_setups=1,
    max_failed=1.0,
    loss=LossLimit(sample_percent=10, min_packets=100, max_lost=0.05),
)
GOOD = Evidence(setups=10)


def test_it_begins_at_its_first_step() -> None:
    rollout = Rollout(CANARY, 7.0)
    assert (rollout.step.percent, rollout.step.phase, rollout.step.at) == (5, Phase.STEPPING, 7.0)


def test_it_takes_its_steps_when_each_has_lasted_and_is_done_after_the_last() -> None:
    rollout = Rollout(CANARY, 0.0)
    taken = []
    for number in range(1, 4):
        assert rollout.measured(GOOD, number * 60.0 - 1.0) is None
        assert rollout.tick(number * 60.0 - 0.5) is None
        assert rollout.next_timer() == number * 60.0
        step = rollout.tick(number * 60.0)
        assert step is rollout.step
        taken.append((step.percent, step.phase, step.reason))
    told = "0 of 10 set-ups failed"
    assert taken == [(50, Phase.STEPPING, told), (100, Phase.STEPPING, told), (100, Phase.PROMOTED, told)]
    assert rollout.measured(Evidence(setups=100, failed=100), 1000.0) is None
    assert rollout.next_timer() is None


def test_a_step_waits_until_enough_was_measured_and_is_then_over_at_once() -> None:
    rollout = Rollout(CANARY, 0.0)
    assert rollout.measured(Evidence(setups=9), 10.0) is None
    assert rollout.waits_for == "1 more set-ups"
    assert rollout.next_timer() is None
    assert rollout.tick(600.0) is None
    step = rollout.measured(Evidence(setups=1), 700.0)
    assert step is not None
    assert (step.percent, step.at) == (50, 700.0)


def test_refusals_count_only_beyond_twice_the_share_that_the_others_refuse() -> None:
    for others, refused, good in ((0, 4, True), (0, 5, False), (20, 8, True), (20, 9, False)):
        rollout = Rollout(CANARY, 0.0)
        rollout.others_measured(Evidence(setups=199, refused=others))
        step = rollout.measured(Evidence(setups=20, refused=refused), 1.0)
        assert (step is None) is good, (others, refused)
        if step is not None:
            told = f"0 of 20 set-ups failed and {refused} were refused; its others refused {others} of 199"
            assert (step.phase, step.percent, step.reason) == (Phase.ROLLED_BACK, 0, told)


def test_failures_and_refusals_are_bad_together() -> None:
    rollout = Rollout(CANARY, 0.0)
    rollout.others_measured(Evidence(setups=1000))
    assert rollout.measured(Evidence(setups=20, failed=2, refused=2), 1.0) is None
    assert rollout.measured(Evidence(setups=0, refused=1), 2.0) is not None


def test_refusals_count_for_nothing_where_nobody_else_was_asked() -> None:
    assert Rollout(CANARY, 0.0).measured(Evidence(setups=20, refused=20), 1.0) is None


def test_where_the_others_get_nothing_any_more_the_step_before_tells_what_is_usual() -> None:
    rollout = Rollout(CANARY, 0.0)
    rollout.others_measured(Evidence(setups=1000))
    rollout.measured(GOOD, 1.0)
    assert rollout.tick(60.0) is not None
    step = rollout.measured(Evidence(setups=10, refused=10), 61.0)
    assert step is not None
    assert step.phase is Phase.ROLLED_BACK


def test_it_is_rolled_back_at_once_when_too_many_set_ups_fail() -> None:
    rollout = Rollout(CANARY, 0.0)
    assert rollout.measured(Evidence(setups=20, failed=4), 1.0) is None
    step = rollout.measured(Evidence(setups=1, failed=1), 2.0)
    assert step is not None
    assert (step.percent, step.phase, step.at) == (0, Phase.ROLLED_BACK, 2.0)
    assert step.reason == "5 of 21 set-ups failed"
    assert step.evidence == Evidence(setups=21, failed=5)


def test_it_is_rolled_back_before_the_minimum_when_no_good_set_up_could_make_up_for_it() -> None:
    rollout = Rollout(CANARY, 0.0)
    assert rollout.measured(Evidence(setups=2, failed=2), 1.0) is None
    step = rollout.measured(Evidence(setups=1, failed=1), 1.0)
    assert step is not None
    assert step.phase is Phase.ROLLED_BACK


def test_one_failure_is_one_too_many_where_none_is_allowed() -> None:
    strict = Canary(backend=NEW, steps=(5,), interval=60.0, min_setups=10, max_failed=0.0)
    step = Rollout(strict, 0.0).measured(Evidence(setups=1, failed=1), 1.0)
    assert step is not None
    assert step.phase is Phase.ROLLED_BACK


def test_it_is_rolled_back_when_too_many_packets_are_lost() -> None:
    rollout = Rollout(LOSSY, 0.0)
    assert rollout.measured(Evidence(setups=1, packets=200, lost=10), 1.0) is None
    step = rollout.measured(Evidence(packets=100, lost=6), 2.0)
    assert step is not None
    assert (step.phase, step.reason) == (Phase.ROLLED_BACK, "16 of 300 packets were lost")


def test_where_loss_counts_a_step_waits_for_packets_too() -> None:
    rollout = Rollout(LOSSY, 0.0)
    assert rollout.waits_for == "1 more set-ups and 100 more packets of sampled sessions"
    assert rollout.measured(Evidence(setups=1, packets=40), 100.0) is None
    assert rollout.waits_for == "60 more packets of sampled sessions"
    step = rollout.measured(Evidence(packets=60), 101.0)
    assert step is not None
    assert step.reason == "0 of 1 set-ups failed, 0 of 100 packets were lost"


def test_a_step_is_judged_by_what_was_measured_in_it() -> None:
    rollout = Rollout(CANARY, 0.0)
    rollout.measured(Evidence(setups=1000), 60.0)
    assert rollout.evidence == Evidence()
    assert rollout.step.percent == 50
    step = rollout.measured(Evidence(setups=3, failed=3), 61.0)
    assert step is not None
    assert step.phase is Phase.ROLLED_BACK


@dataclass(frozen=True)
class Moment:
    """So many seconds later this was measured (nothing: the timer)."""

    later: float
    found: Evidence


EVIDENCE = st.builds(
    lambda good, failed, arrived, lost: Evidence(
        setups=good + failed, failed=failed, packets=arrived + lost, lost=lost
    ),
    st.integers(0, 20),
    st.integers(0, 4),
    st.integers(0, 200),
    st.integers(0, 10),
)
MOMENTS = st.lists(st.builds(Moment, later=st.floats(0, 90), found=EVIDENCE), max_size=40)


@given(st.sampled_from((CANARY, LOSSY)), MOMENTS)
def test_whatever_is_measured_it_goes_its_steps_in_order_and_its_end_is_final(
    canary: Canary, moments: list[Moment]
) -> None:
    rollout, now = Rollout(canary, 0.0), 0.0
    steps = [rollout.step]
    seen = Evidence()
    for moment in moments:
        now += moment.later
        was_running = rollout.running
        step = rollout.measured(moment.found, now) if moment.found else rollout.tick(now)
        seen = seen + moment.found
        if step is None:
            assert rollout.evidence == (seen if was_running else Evidence())
            continue
        assert was_running
        assert step.evidence == seen
        seen = Evidence()
        if step.phase is not Phase.ROLLED_BACK:
            assert step.at >= steps[-1].at + canary.interval
            assert step.evidence.setups >= canary.min_setups
            assert step.evidence.failed <= canary.max_failed * step.evidence.setups
        steps.append(step)
    percents = [step.percent for step in steps if step.phase is Phase.STEPPING]
    assert percents == list(canary.steps[: len(percents)])
    assert all(step.phase is Phase.STEPPING for step in steps[:-1])
    if steps[-1].phase is Phase.PROMOTED:
        assert percents == list(canary.steps)
        assert steps[-1].percent == canary.steps[-1]
    elif steps[-1].phase is Phase.ROLLED_BACK:
        assert steps[-1].percent == 0

from hypothesis import given
from hypothesis import strategies as st

from rtsp_filter.rtp import clock


def test_the_unix_epoch_is_seventy_years_into_ntp() -> None:
    assert clock.ntp_timestamp(0.5) == 2_208_988_800 << 32 | 1 << 31


@given(
    sent=st.floats(0, 1e6),
    held=st.floats(0, 3_600),
    trip=st.floats(0, 60),
)
def test_a_round_trip_is_the_time_passed_less_the_time_held(sent: float, held: float, trip: float) -> None:
    measured = clock.round_trip(
        arrival=clock.compact(clock.ntp_timestamp(sent + held + trip)),
        last_report=clock.compact(clock.ntp_timestamp(sent)) or 1,
        delay=clock.compact_duration(held),
    )
    assert measured is None or abs(measured - trip) < 1e-3


def test_a_peer_that_has_heard_no_report_gives_no_round_trip() -> None:
    assert clock.round_trip(arrival=5, last_report=0, delay=0) is None


def test_a_peer_that_claims_to_have_held_longer_than_passed_gives_no_round_trip() -> None:
    assert clock.round_trip(arrival=100, last_report=50, delay=51) is None

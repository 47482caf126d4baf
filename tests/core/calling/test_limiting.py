from hypothesis import given
from hypothesis import strategies as st

from stampcard.calling.limiting import full, take
from stampcard.plugin.rates import Rate

rates = st.builds(
    Rate, per_second=st.floats(min_value=0.01, max_value=1000), burst=st.integers(min_value=1, max_value=100)
)
pauses = st.lists(st.floats(min_value=0, max_value=60), max_size=60)


def test_a_full_bucket_lets_its_burst_through_at_once_and_then_makes_callers_wait() -> None:
    rate = Rate(per_second=2, burst=3)
    bucket = full(rate, 0.0)
    waits = []
    for _ in range(4):
        bucket, wait = take(bucket, 0.0, rate)
        waits.append(wait)
    assert waits == [0, 0, 0, 0.5]


def test_the_wait_that_was_told_is_enough() -> None:
    rate = Rate(per_second=3, burst=1)
    bucket, _ = take(full(rate, 100.0), 100.0, rate)
    bucket, wait = take(bucket, 100.1, rate)
    assert wait > 0
    _, wait = take(bucket, 100.1 + wait, rate)
    assert wait == 0


def test_a_clock_that_steps_back_gives_no_calls_away() -> None:
    rate = Rate(per_second=1, burst=1)
    bucket, _ = take(full(rate, 50.0), 50.0, rate)
    bucket, wait = take(bucket, 10.0, rate)
    assert wait == 1
    assert bucket.at == 50


@given(rate=rates, pauses=pauses)
def test_never_more_calls_leave_than_the_burst_and_the_rate_allow(rate: Rate, pauses: list[float]) -> None:
    bucket, now, taken = full(rate, 0.0), 0.0, 0
    for pause in pauses:
        now += pause
        bucket, wait = take(bucket, now, rate)
        taken += wait == 0
        assert taken <= rate.burst + now * rate.per_second + 1e-6


@given(rate=rates, pauses=pauses)
def test_whoever_waits_as_long_as_told_gets_a_call(rate: Rate, pauses: list[float]) -> None:
    bucket, now = full(rate, 0.0), 0.0
    for pause in pauses:
        now += pause
        bucket, wait = take(bucket, now, rate)
        if wait:
            now += wait
            bucket, wait = take(bucket, now, rate)
            assert wait == 0

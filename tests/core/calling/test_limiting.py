from hypothesis import given
from hypothesis import strategies as st

from stampcard.calling.limiting import full, owing, take
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


def test_whoever_comes_after_what_was_not_waited_for_waits_as_long_as_that_takes() -> None:
    rate = Rate(per_second=2, burst=3)
    bucket, wait = take(owing(full(rate, 0.0), 8), 0.0, rate)
    # Five were taken that were not there: they and the next take three seconds.
    assert wait == 3
    _, again = take(bucket, 2.9, rate)
    assert again > 0
    assert take(bucket, 3.0, rate)[1] == 0


def test_what_is_owed_is_not_forgotten_when_more_is_owed() -> None:
    rate = Rate(per_second=1, burst=1)
    bucket = owing(owing(full(rate, 0.0), 2), 3)
    assert take(bucket, 0.0, rate)[1] == 5
    assert owing(bucket, 0) == bucket


@given(rate=rates, more=st.integers(min_value=0, max_value=500))
def test_however_much_is_owed_the_wait_that_was_told_is_enough_and_nothing_less(rate: Rate, more: int) -> None:
    bucket, wait = take(owing(full(rate, 0.0), more), 0.0, rate)
    if wait:
        # Rates of a hundredth of a call and debts of hundreds: moments far apart, so a part of them is left out.
        assert take(bucket, wait * 0.999, rate)[1] > 0
        assert take(bucket, wait * (1 + 1e-9), rate)[1] == 0
    else:
        assert rate.burst - more >= 1


@given(rate=rates, pauses=pauses, debts=st.lists(st.integers(min_value=0, max_value=20), max_size=60))
def test_with_what_was_taken_beforehand_never_more_leaves_than_the_burst_and_the_rate_allow(
    rate: Rate, pauses: list[float], debts: list[int]
) -> None:
    bucket, now, taken = full(rate, 0.0), 0.0, 0
    for pause, more in zip(pauses, debts, strict=False):
        now += pause
        bucket, wait = take(bucket, now, rate)
        if wait == 0:
            bucket, taken = owing(bucket, more), taken + 1 + more
            # Whoever pays for several at once is over by what they did not wait for, and by no more.
            assert taken - more <= rate.burst + now * rate.per_second + 1e-6

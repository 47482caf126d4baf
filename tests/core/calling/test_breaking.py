from hypothesis import given
from hypothesis import strategies as st

from stampcard.calling.breaking import FAILURES, PAUSE, Breaker, allow, record


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker = record(breaker, ok=False, now=now)
    return breaker


def test_it_stays_closed_until_the_fifth_failure_in_a_row() -> None:
    breaker = Breaker()
    for _ in range(FAILURES - 1):
        breaker = record(breaker, ok=False, now=0)
    assert breaker.state(0) == "closed"
    assert record(breaker, ok=False, now=0).state(0) == "open"


def test_a_success_between_failures_starts_the_count_again() -> None:
    breaker = Breaker()
    for _ in range(3):
        for _ in range(FAILURES - 1):
            breaker = record(breaker, ok=False, now=0)
        breaker = record(breaker, ok=True, now=0)
    assert breaker == Breaker()


def test_while_it_is_open_nobody_calls() -> None:
    assert allow(opened(), PAUSE - 0.1) == (opened(), False)


def test_after_the_pause_exactly_one_call_probes() -> None:
    breaker, first = allow(opened(), PAUSE)
    breaker, second = allow(breaker, PAUSE + 1)
    assert (first, second) == (True, False)


def test_a_good_probe_closes_it_and_a_bad_one_opens_it_for_another_pause() -> None:
    probing, _ = allow(opened(), PAUSE)
    assert record(probing, ok=True, now=PAUSE + 1) == Breaker()
    again = record(probing, ok=False, now=PAUSE + 1)
    assert again.state(PAUSE + 2) == "open"
    assert again.state(2 * PAUSE + 1) == "half_open"


def test_a_probe_that_was_never_recorded_does_not_keep_it_shut_for_ever() -> None:
    lost, _ = allow(opened(), PAUSE)
    assert allow(lost, 2 * PAUSE)[1] is True


def test_a_failure_of_a_call_that_left_before_it_opened_does_not_push_the_probe_away() -> None:
    late = record(opened(), ok=False, now=PAUSE - 1)
    assert late.state(PAUSE) == "half_open"


@given(steps=st.lists(st.tuples(st.floats(min_value=0, max_value=40), st.booleans()), max_size=80))
def test_a_vendor_that_always_fails_is_called_at_most_once_a_pause_after_it_opened(
    steps: list[tuple[float, bool]],
) -> None:
    breaker, now, calls = opened(), 0.0, 0
    for pause, records in steps:
        now += pause
        breaker, allowed = allow(breaker, now)
        calls += allowed
        if allowed and records:
            breaker = record(breaker, ok=False, now=now)
        assert calls <= now / PAUSE + 1e-9

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.value import replace
from stampcard.outbox.retrying import FLOOR, next_attempt, worst
from stampcard.plugin.outcomes import RetryLater
from stampcard.plugin.rates import RetryPolicy
from stampcard.storage.pushing import PushResult

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BUSY = RetryLater(reason="busy")

policies = st.builds(RetryPolicy, waits=st.lists(st.floats(min_value=0.01, max_value=1e6), max_size=10).map(tuple))
chances = st.floats(min_value=0, max_value=1, exclude_max=True)
outcomes = st.builds(RetryLater, reason=st.just("busy"), after=st.none() | st.floats())


def test_each_try_waits_for_its_share_of_the_policy() -> None:
    policy = RetryPolicy(waits=(10, 100))
    assert next_attempt(BUSY, 1, policy, NOW, 0.5) == NOW + timedelta(seconds=5)
    assert next_attempt(BUSY, 2, policy, NOW, 0.5) == NOW + timedelta(seconds=50)
    assert next_attempt(BUSY, 3, policy, NOW, 0.5) is None


def test_what_the_vendor_asks_for_wins_over_our_own_wait() -> None:
    policy = RetryPolicy(waits=(10, 100))
    asked = RetryLater(reason="busy", after=42)
    assert next_attempt(asked, 1, policy, NOW, 0.0) == NOW + timedelta(seconds=42)


def test_a_vendor_cannot_send_us_away_for_longer_than_the_longest_wait() -> None:
    policy = RetryPolicy(waits=(10, 100))
    asked = RetryLater(reason="busy", after=float("inf"))
    assert next_attempt(asked, 1, policy, NOW, 0.0) == NOW + timedelta(seconds=100)


def test_of_two_that_a_member_has_what_may_yet_arrive_is_tried_again() -> None:
    done, waits, dead = (
        PushResult(member="m", sent=0, due_at=NOW, error=error, dead=error == "no") for error in (None, "busy", "no")
    )
    for results, kept in (((done, dead), dead), ((dead, waits), waits), ((waits, dead), waits), ((waits, done), waits)):
        assert worst(results) == [kept]
    assert worst([done, replace(dead, member="n")]) == [done, replace(dead, member="n")]


def test_a_vendor_that_says_at_once_is_not_hammered() -> None:
    asked = RetryLater(reason="busy", after=0)
    assert next_attempt(asked, 1, RetryPolicy(waits=(10,)), NOW, 0.0) == NOW + timedelta(seconds=10 * FLOOR)


def test_a_policy_without_waits_never_tries_again() -> None:
    assert next_attempt(BUSY, 1, RetryPolicy(waits=()), NOW, 0.5) is None


@given(outcome=outcomes, attempts=st.integers(min_value=1, max_value=12), policy=policies, chance=chances)
def test_the_next_try_is_ahead_and_no_further_than_the_longest_wait(
    outcome: RetryLater, attempts: int, policy: RetryPolicy, chance: float
) -> None:
    moment = next_attempt(outcome, attempts, policy, NOW, chance)
    assert (moment is None) == (attempts >= policy.tries)
    if moment is not None:
        assert NOW < moment <= NOW + timedelta(seconds=max(policy.waits), microseconds=1)


@given(policy=policies, chance=chances)
def test_no_item_is_sent_more_often_than_the_policy_says(policy: RetryPolicy, chance: float) -> None:
    tries, due = 0, NOW
    while True:
        tries += 1
        moment = next_attempt(BUSY, tries, policy, due, chance)
        if moment is None:
            break
        due = moment
    assert tries == policy.tries

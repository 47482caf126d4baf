from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stampcard.outbox.retrying import next_attempt
from stampcard.plugin import Absent, Change, Command, Delivered, Rejected, RetryLater
from stampcard.testing.clock import NOON, FakeClock
from stampcard_standard_webhooks.plugin import outbound_commands
from stampcard_standard_webhooks.sending import WebhookSink

URL = "https://shop.example/loyalty/news?from=stampcard"
NEWER = "whsec_dGhlIG5ld2VyIHNlY3JldCBvZiBmb3J0eSBieXRlcywgcmFuZG9tPw=="
OLDER = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
PARTS_OF_DATES = st.sampled_from(
    ["Tue,", "10", "Mar", "2026", "9999", "0001", "12:00:00", "99:99", "GMT", "+9999", "-1400", "9" * 20]
)

Make = Callable[..., WebhookSink]
Genuine = Callable[..., bool]


@pytest.fixture
def earned(change: Callable[..., Change]) -> Command:
    (command,) = outbound_commands(change("earn"))
    return command


async def test_a_notice_is_posted_to_the_url_and_signed(
    sink: Make, network: Any, earned: Command, is_genuine: Genuine
) -> None:
    assert await sink().deliver([earned]) == [Delivered()]
    (request,) = network.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == earned.key
    assert request.headers["webhook-timestamp"] == str(int(NOON.timestamp()))
    assert msgspec.json.decode(request.content) == earned.data
    assert is_genuine(request.headers, request.content, NEWER, NOON)
    assert not is_genuine(request.headers, request.content + b" ", NEWER, NOON)
    assert not is_genuine(request.headers, request.content, OLDER, NOON)


async def test_while_a_secret_is_rotated_receivers_may_know_either(
    sink: Make, network: Any, earned: Command, is_genuine: Genuine
) -> None:
    await sink(secrets=[NEWER, OLDER]).deliver([earned])
    (request,) = network.requests
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in (NEWER, OLDER):
        assert is_genuine(request.headers, request.content, secret, NOON)


async def test_a_repeat_has_the_same_id_and_body_and_the_time_of_its_own_attempt(
    sink: Make, network: Any, clock: FakeClock, earned: Command, is_genuine: Genuine
) -> None:
    sender = sink()
    await sender.deliver([earned])
    clock.advance(timedelta(hours=5))
    await sender.deliver([earned])
    first, second = network.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.content == second.content
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5 * 3600
    assert is_genuine(second.headers, second.content, NEWER, clock.now())


async def test_what_the_settings_leave_out_counts_as_told_without_a_call(
    sink: Make, network: Any, change: Callable[..., Change]
) -> None:
    sender = sink(events=["member.joined", "points.e*"])
    commands = list(outbound_commands(change("earn", "expire", "spend", "join")))
    assert await sender.deliver(commands) == [Delivered()] * 4
    told = [msgspec.json.decode(request.content)["type"] for request in network.requests]
    assert told == ["points.earned", "points.expired", "member.joined"]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_2xx_is_enough_whatever_the_answer_says(
    sink: Make, network: Any, earned: Command, status: int
) -> None:
    network.answer = lambda _: httpx.Response(status, headers={"content-encoding": "gzip"}, stream=Broken())
    assert await sink().deliver([earned]) == [Delivered()]


async def test_a_receiver_who_wants_no_more_is_given_up(sink: Make, network: Any, earned: Command) -> None:
    network.answer = lambda _: httpx.Response(410)
    (outcome,) = await sink().deliver([earned])
    assert outcome == Rejected(
        reason="the receiver wants no more webhooks (410): change url, or pause the connection", gone=False
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422, 429, 500, 502, 503, 504])
async def test_every_other_status_is_tried_again(sink: Make, network: Any, earned: Command, status: int) -> None:
    network.answer = lambda _: httpx.Response(status, text="x" * 5000)
    assert await sink().deliver([earned]) == [RetryLater(reason=f"the receiver answered {status}")]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_but_told(sink: Make, network: Any, earned: Command, status: int) -> None:
    network.answer = lambda _: httpx.Response(status, headers={"location": "https://elsewhere.example/"})
    (outcome,) = await sink().deliver([earned])
    assert outcome == RetryLater(
        reason=f"the receiver answered {status}, and a redirect is not followed: check url", after=None
    )
    assert len(network.requests) == 1


@pytest.mark.parametrize("failure", [httpx.ReadTimeout, httpx.ConnectTimeout, httpx.ConnectError, httpx.ReadError])
async def test_without_an_answer_it_is_tried_again(
    sink: Make, network: Any, earned: Command, failure: type[httpx.TransportError]
) -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise failure("as long as it takes", request=request)

    network.answer = fail
    assert await sink().deliver([earned]) == [
        RetryLater(reason=f"no answer from the receiver: {failure.__name__}", after=None)
    ]


async def test_an_attempt_has_twenty_seconds(sink: Make, network: Any, earned: Command) -> None:
    await sink().deliver([earned])
    assert set(network.requests[0].extensions["timeout"].values()) == {20.0}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize(
    ("told", "after"),
    [
        ("90", 90.0),
        ("0", 0.0),
        (format_datetime(NOON + timedelta(minutes=10), usegmt=True), 600.0),
        (format_datetime(NOON - timedelta(days=10), usegmt=True), 0.0),
        ("Tue, 10 Mar 2026 13:00:00 +0100", 0.0),
        ("Tue, 10 Mar 2026 12:00:30 -0000", 30.0),
        ("soon", None),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", None),
        ("-5", None),
    ],
)
async def test_a_receiver_says_in_seconds_or_by_date_how_long_to_wait(
    sink: Make, network: Any, earned: Command, status: int, told: str, after: float | None
) -> None:
    network.answer = lambda _: httpx.Response(status, headers={"retry-after": told})
    assert await sink().deliver([earned]) == [RetryLater(reason=f"the receiver answered {status}", after=after)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told=st.text(st.characters(min_codepoint=33, max_codepoint=126)) | st.lists(PARTS_OF_DATES).map(" ".join))
async def test_no_way_to_write_retry_after_does_harm(sink: Make, network: Any, earned: Command, told: str) -> None:
    network.answer = lambda _: httpx.Response(429, headers={"retry-after": told})
    (outcome,) = await sink().deliver([earned])
    assert isinstance(outcome, RetryLater)
    assert outcome.after is None or 0 <= outcome.after < float("inf")


def test_ten_attempts_are_spread_over_three_days() -> None:
    policy, at = WebhookSink.retry, datetime(2026, 3, 10, tzinfo=UTC)
    hours = []
    for attempts in range(1, policy.tries):
        due = next_attempt(RetryLater(reason=""), attempts, policy, at, 1.0)
        assert due is not None
        hours.append((due - at).total_seconds() / 3600)
    assert hours == pytest.approx([5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24])
    assert next_attempt(RetryLater(reason=""), policy.tries, policy, at, 1.0) is None


async def test_an_attempt_that_nobody_saw_end_is_made_again(sink: Make, earned: Command) -> None:
    assert sink().idempotent
    assert await sink().lookup(earned) == Absent()


class Broken(httpx.AsyncByteStream):
    """An answer's body that cannot be read."""

    async def __aiter__(self) -> Any:
        raise httpx.ReadError("the answer ended early")
        yield b""

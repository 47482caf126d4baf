"""What each answer of HubSpot's means, what of it is told on, and how its quota is kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from stampcard.plugin import Rejected, RetryLater
from stampcard_hubspot.calling import WAYS, CallFailed, about, blamed, existing
from stampcard_hubspot.client import Client
from stampcard_hubspot.payloads import Found, Trouble
from stampcard_hubspot.quota import BACKGROUND

Asked = Callable[..., Any]
MESSAGE = "ada@example.com is not a person that we like"
QUOTA = {
    "X-HubSpot-RateLimit-Max": "100",
    "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
    "X-HubSpot-RateLimit-Daily": "1000",
}


@pytest.fixture
def failing(connection: Any) -> Asked:
    """Ask once, and give the failure that an answer is."""

    async def ask(status: int, told: Any = None, headers: dict[str, str] | None = None, **changes: Any) -> CallFailed:
        body = {"status": "error", "message": MESSAGE, "correlationId": "c", **(told or {})}
        context = connection(play=lambda _: httpx.Response(status, json=body, headers=headers or {}), **changes)
        with pytest.raises(CallFailed) as raised:
            await Client(context).account()
        assert "ada" not in str(raised.value)
        return raised.value

    return ask


@pytest.mark.parametrize("status", sorted(WAYS))
async def test_each_status_of_the_table_means_what_it_says(failing: Asked, status: int) -> None:
    outcome = (await failing(status)).outcome
    assert isinstance(outcome, RetryLater if WAYS[status].again else Rejected)
    if isinstance(outcome, RetryLater):
        assert outcome.after == WAYS[status].after


@pytest.mark.parametrize(
    ("status", "kind", "after"),
    [
        (400, Rejected, None),
        (404, Rejected, None),
        (409, Rejected, None),
        (414, Rejected, None),
        (422, Rejected, None),
        (423, RetryLater, 2),
        (429, RetryLater, None),
        (477, RetryLater, None),
        (500, RetryLater, None),
        (502, RetryLater, None),
        (503, RetryLater, None),
        (504, RetryLater, None),
        (521, RetryLater, None),
        (522, RetryLater, 300),
        (523, RetryLater, None),
        (524, RetryLater, None),
        (525, RetryLater, 300),
        (526, RetryLater, 300),
        (599, RetryLater, None),
    ],
)
async def test_what_passes_is_tried_again_and_what_blames_us_is_not(
    failing: Asked, status: int, kind: type, after: float | None
) -> None:
    outcome = (await failing(status)).outcome
    assert isinstance(outcome, kind)
    assert getattr(outcome, "after", None) == after


@pytest.mark.parametrize(
    ("status", "told", "after"), [(423, "1", 2), (423, "9", 9), (429, "31", 31), (477, "86400", 86400)]
)
async def test_retry_after_is_kept_to(failing: Asked, status: int, told: str, after: float) -> None:
    assert (await failing(status, headers={"retry-after": told})).outcome.after == after


@pytest.mark.parametrize(
    ("policy", "after"), [("DAILY", 3600), ("TEN_SECONDLY_ROLLING", 10), ("SECONDLY", 1), ("NEW_ONE", None), (7, None)]
)
async def test_a_limit_that_was_hit_says_for_how_long(failing: Asked, policy: Any, after: float | None) -> None:
    told = {"errorType": "RATE_LIMIT", "category": "RATE_LIMITS", "policyName": policy}
    outcome = (await failing(429, told)).outcome
    assert outcome == RetryLater(reason="HubSpot answered 429 (RATE_LIMITS)", after=after)


async def test_refused_credentials_name_their_setting(failing: Asked) -> None:
    told = {"category": "INVALID_AUTHENTICATION"}
    assert (await failing(401, told)).outcome.reason == "HubSpot refuses the credentials (401): check access_token"


@pytest.mark.parametrize(
    "told",
    [
        {
            "errors": [
                {"message": MESSAGE, "context": {"requiredGranularScopes": ["crm.lists.read", "crm.lists.write"]}}
            ]
        },
        {"errors": [{"context": "{missingScopes=[crm.lists.read, crm.lists.write]}"}]},
        {"context": {"requiredScopes": ["crm.lists.read", "crm.lists.write", "Not A Scope"]}},
    ],
)
async def test_scopes_that_are_missing_are_named(failing: Asked, told: dict[str, Any]) -> None:
    reason = (await failing(403, {"category": "MISSING_SCOPES", **told})).outcome.reason
    assert reason == (
        "HubSpot does not allow this (403 (MISSING_SCOPES)): let the app have crm.lists.read, crm.lists.write"
    )


async def test_only_the_words_of_an_error_are_told(failing: Asked) -> None:
    told = {"category": "VALIDATION_ERROR", "subCategory": "ILS.DUPLICATE_LIST_NAMES"}
    assert (
        await failing(400, told)
    ).outcome.reason == "HubSpot answered 400 (VALIDATION_ERROR, ILS.DUPLICATE_LIST_NAMES)"
    for odd in ("ada@example.com", "lower case", 7, None, ["A"], {"a": 1}, "A" * 200):
        assert (await failing(400, {"category": odd, "subCategory": odd})).outcome.reason == "HubSpot answered 400"


async def test_a_redirect_is_not_followed(failing: Asked) -> None:
    outcome = (await failing(301, headers={"location": "https://elsewhere.example"})).outcome
    assert outcome.reason == "HubSpot sends us elsewhere (301): check api_url"


def test_of_a_message_only_a_contacts_number_is_read() -> None:
    assert existing(Trouble(message="Contact already exists. Existing ID: 1234")) == "1234"
    assert existing(Trouble(message="Existing ID: nobody")) == existing(Trouble(message=5)) == ""


def test_a_property_that_is_blamed_is_one_that_was_sent() -> None:
    message = 'Property values were not valid: [{"isValid":false,"message":"x","error":"INVALID_LONG","name":"loyalty_points"}]'
    assert blamed(Trouble(message=message), {"loyalty_points", "email"}) == ["loyalty_points"]
    assert blamed(Trouble(context={"propertyName": ["email"]}), {"loyalty_points", "email"}) == ["email"]
    assert blamed(Trouble(message=message), {"email"}) == []


@pytest.mark.parametrize("context", [None, 7, "x", [], {"ids": None}, {"ids": 7}, {"ids": [7, None]}])
def test_an_error_that_is_about_nobody_is_about_nobody(context: Any) -> None:
    assert list(about(Trouble(context=context))) == []


@pytest.mark.parametrize("status", [200, 400, 429, 503])
@pytest.mark.parametrize("content", [b"", b"\xff", b"null", b"[]", b"[" * 90_000, b'{"category":' * 90_000, b"<html>"])
async def test_whatever_hubspot_answers_is_a_call_that_failed(connection: Any, status: int, content: bytes) -> None:
    client = Client(connection(play=lambda _: httpx.Response(status, content=content)))
    with pytest.raises(CallFailed) as raised:
        await client.ask("GET", "/x", Found)
    assert len(str(raised.value)) < 300


async def test_a_lost_connection_is_tried_again_at_once(connection: Any) -> None:
    tries: list[str] = []

    def play(request: httpx.Request) -> httpx.Response:
        tries.append(request.url.path)
        if len(tries) < 3:
            raise httpx.ReadError("lost", request=request)
        return httpx.Response(200, json={"portalId": 4711})

    assert await Client(connection(play=play)).account() == 4711
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("version", "path"),
    [("v3", "/crm/v3/objects/contacts/batch/read"), ("2026-03", "/crm/objects/2026-03/contacts/batch/read")],
)
async def test_the_version_says_where_things_are(connection: Any, version: str, path: str) -> None:
    client = Client(connection(play=lambda _: httpx.Response(200), api_version=version))
    assert client.path("objects", "batch", "read") == path
    assert client.path("lists", "a b/c").endswith("/a%20b%2Fc")


async def answered(connection: Any, *told: dict[str, str]) -> Client:
    """A client that heard these headers, one answer after the other."""
    left = list(told)
    client = Client(connection(play=lambda _: httpx.Response(200, json={"portalId": 4711}, headers=left.pop(0))))
    for _ in told:
        await client.account()
    return client


@pytest.mark.parametrize(
    ("remaining", "people", "background"), [(100, 0, 0), (81, 0, 0), (80, 0, 10), (6, 0, 10), (5, 10, 10), (0, 10, 10)]
)
async def test_the_rest_of_ten_seconds_is_waited_for_and_most_of_it_is_for_people(
    connection: Any, remaining: int, people: float, background: float
) -> None:
    client = await answered(connection, {**QUOTA, "X-HubSpot-RateLimit-Remaining": str(remaining)})
    assert client.pace() == people
    assert client.quota.pace(BACKGROUND) == background


@pytest.mark.parametrize(
    ("left", "people", "background"), [(1000, 0, 0), (201, 0, 0), (200, 0, 3600), (1, 0, 3600), (0, 3600, 3600)]
)
async def test_of_a_day_the_last_part_is_for_people(
    connection: Any, left: int, people: float, background: float
) -> None:
    told = {**QUOTA, "X-HubSpot-RateLimit-Remaining": "100", "X-HubSpot-RateLimit-Daily-Remaining": str(left)}
    client = await answered(connection, told)
    assert client.pace() == people
    assert client.quota.pace(BACKGROUND) == background


async def test_the_quota_is_back_when_its_time_is_over(connection: Any, hurried: Any) -> None:
    client = await answered(connection, {**QUOTA, "X-HubSpot-RateLimit-Remaining": "0"})
    hurried.advance(7)
    assert client.pace() == 3
    hurried.advance(4)
    assert client.pace() == 0


@pytest.mark.parametrize("odd", ["", "many", "-1", "1e3", "9" * 5000, "٣"])
async def test_an_odd_header_says_nothing(connection: Any, odd: str) -> None:
    told = [(name.encode(), odd.encode()) for name in (*QUOTA, "X-HubSpot-RateLimit-Remaining")]
    client = Client(connection(play=lambda _: httpx.Response(200, json={"portalId": 1}, headers=told)))
    await client.account()
    assert client.pace() == 0


async def test_after_a_limit_was_hit_nobody_asks_for_a_while(connection: Any, portal: Any) -> None:
    client = Client(connection(portal.settings()))
    portal.fail("details", 429, retry_after=30)
    with pytest.raises(CallFailed):
        await client.account()
    assert client.pace() == 30


async def test_searches_keep_to_four_a_second(connection: Any, hurried: Any) -> None:
    times: list[float] = []

    def play(_: httpx.Request) -> httpx.Response:
        times.append(hurried.now().timestamp())
        return httpx.Response(200, json={"results": [], "total": 0})

    client = Client(connection(play=play))
    for _ in range(5):
        await client.search(Found, {})
    assert [later - times[0] for later in times] == [0, 0.25, 0.5, 0.75, 1.0]

"""What is wrong with a request is told at once, and never more than that."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stampcard.errors import RequestRefused
from stampcard_webhooks.asking import MAX_BODY
from stampcard_webhooks.paging import Number, PageQuery, Text, cut, position


async def test_malformed_json_is_400(api: Any) -> None:
    for data in (b"{", b"\xff\xfe", b'{"attributes": {"colour": "\\ud800"}}'):
        reply = await api.call("POST", "/members", data=data, headers={"Content-Type": "application/json"})
        assert (reply.status, reply.body["code"]) == (400, "malformed"), data


WRONG: list[tuple[Any, list[str]]] = [
    ([], [""]),
    ({"identity": {"connection": "shop"}}, ["identity.reference"]),
    ({"identity": {"connection": "a b", "reference": "a\u0000"}}, ["identity.connection", "identity.reference"]),
    (
        {"attribute": {}, "attributes": {"cups": [1], "colour": {}}},
        ["attributes.cups", "attributes.colour", "attribute"],
    ),
    ({"attributes": {"cups": 2**53}}, ["attributes.cups"]),
]


async def test_everything_wrong_with_a_body_is_told_with_its_place(api: Any) -> None:
    for body, paths in WRONG:
        reply = await api.call("POST", "/members", body)

        assert (reply.status, reply.body["code"]) == (422, "invalid")
        assert [error["path"] for error in reply.body["errors"]] == paths
        assert all(error["message"] for error in reply.body["errors"])


async def test_what_our_own_checks_say_is_told_in_their_words_alone(api: Any) -> None:
    reply = await api.call("POST", "/members", {"attributes": {"cups": 2**53}})
    assert reply.body["errors"] == [{
        "path": "attributes.cups", "message": f"must be text, true, false, null or a number of at most {2**53 - 1}",
    }]  # fmt: skip


async def test_numbers_that_are_none_are_refused(api: Any) -> None:
    for body in ('{"attributes": {"cups": NaN}}', '{"attributes": {"cups": 1e999}}'):
        reply = await api.call("POST", "/members", data=body, headers={"Content-Type": "application/json"})
        assert reply.status in {400, 422}


async def test_points_are_whole_numbers_above_0(api: Any) -> None:
    for points in ("5", 5.0, True, 0, -1, 10**16, None):
        reply = await api.call("POST", "/members/m_1/spends", {"wallet": "points", "points": points})
        assert (reply.status, [error["path"] for error in reply.body["errors"]]) == (422, ["points"]), points


async def test_unknown_and_repeated_parameters_are_400(api: Any) -> None:
    unknown = await api.call("GET", "/members?limt=5")
    assert (unknown.status, unknown.body["errors"][0]["path"]) == (400, "limt")
    assert "limit" in unknown.body["errors"][0]["message"]
    assert (await api.call("GET", "/members?limit=5&limit=6")).status == 400
    assert (await api.call("POST", "/members?x=1", {})).status == 400


async def test_wrong_parameters_are_422(api: Any) -> None:
    cursors = ["cursor=x", "cursor=!", "cursor=é", "cursor=WyJtZW1iZXJzIiwxXQ"]
    for query in ("limit=0", "limit=201", "limit=x", *cursors):
        assert (await api.call("GET", f"/members?{query}")).status == 422, query


async def test_a_cursor_of_another_list_is_refused(served: Any) -> None:
    for number in range(2):
        body = {"identity": {"connection": "shop", "reference": str(number)}}
        await served.call("POST", "/members", body)
    cursor = (await served.call("GET", "/members?limit=1")).body["next"]

    assert (await served.call("GET", f"/members?cursor={cursor}")).status == 200
    for path in ("/orders", "/deliveries", "/quarantine", "/pushes", "/outbox", "/orders?undecided=true"):
        mark = "&" if "?" in path else "?"
        assert (await served.call("GET", f"{path}{mark}cursor={cursor}")).status == 422


@given(st.text(max_size=80))
@settings(max_examples=200)
def test_no_text_breaks_a_cursor(text: str) -> None:
    for shape in (Text, Number, tuple[Text, Number], tuple[Text, Text, Text]):
        try:
            position(PageQuery(cursor=text), "list", shape)
        except RequestRefused:
            continue


@given(st.binary(max_size=60))
def test_no_bytes_break_a_cursor(raw: bytes) -> None:
    written = base64.urlsafe_b64encode(b'["list",' + raw + b"]").rstrip(b"=").decode()
    try:
        found = position(PageQuery(cursor=written), "list", Number)
    except RequestRefused:
        return
    assert json.loads(raw) == found


@given(st.lists(st.integers(min_value=0), max_size=12, unique=True), st.integers(1, 5))
def test_pages_are_the_whole_list(numbers: list[int], limit: int) -> None:
    ordered = sorted(n % 2**63 for n in numbers)
    seen: list[int] = []
    query = PageQuery(limit=limit)
    while True:
        after = position(query, "list", Number)
        rest = [n for n in ordered if after is None or n > after][: limit + 1]
        shown, following = cut(rest, query, "list", lambda n: n)
        seen += shown
        if following is None:
            break
        query = PageQuery(limit=limit, cursor=following)
    assert seen == sorted(set(ordered)) or seen == ordered


async def test_a_large_body_is_413_also_when_its_length_is_not_told(api: Any) -> None:
    large = b'{"attributes": {"colour": "' + b"x" * MAX_BODY + b'"}}'
    json_ = {"Content-Type": "application/json"}

    async def drip() -> Any:
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    assert (await api.call("POST", "/members", data=large, headers=json_)).status == 413
    assert (await api.call("POST", "/members", data=drip(), headers=json_)).status == 413


async def test_other_kinds_of_bodies_are_415(api: Any) -> None:
    reply = await api.call("POST", "/members", data=b"a=b", headers={"Content-Type": "text/plain"})
    assert reply.status == 415
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await api.call("POST", "/members", data=gzip.compress(b"{}"), headers=headers)).status == 415


async def test_what_cannot_be_a_name_is_not_found(served: Any) -> None:
    for path in (
        "/members/%00",
        "/members/%ff",
        "/deliveries/x",
        "/deliveries/-1",
        f"/deliveries/{2**70}",
        f"/deliveries/{'0' * 30}{2**70}",
    ):
        assert (await served.call("GET", path)).status == 404, path


async def test_unknown_paths_and_methods_are_problems_too(api: Any) -> None:
    reply = await api.call("GET", "/nothing")
    assert (reply.status, reply.headers["content-type"]) == (404, "application/problem+json")
    reply = await api.call("PUT", "/members", {})
    assert (reply.status, reply.headers["content-type"]) == (405, "application/problem+json")
    assert set(reply.headers["allow"].split(",")) == {"GET", "PATCH", "POST"}


async def test_no_answer_is_kept_or_guessed_at(api: Any) -> None:
    for path in ("/members", "/nothing", "/openapi.json", "/livez"):
        headers = (await api.call("GET", path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


async def test_an_idempotency_key_is_visible_ascii(api: Any) -> None:
    for text in ("a b", "x" * 201, "é", ""):
        reply = await api.call("POST", "/members", {}, headers={"Idempotency-Key": text})
        assert (reply.status, reply.body["code"]) == (400, "idempotency_key")

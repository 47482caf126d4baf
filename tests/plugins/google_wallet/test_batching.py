"""Several requests in one call, as they are written and as answers are read."""

from __future__ import annotations

import random

import pytest

from stampcard_google_wallet.batching import packed, unpacked
from stampcard_google_wallet.calling import Answer, Request
from stampcard_google_wallet.simulated_batches import Told, calls_of, written

REQUESTS = [
    Request("PATCH", "loyaltyObject/1.a", {"accountName": "Zoë\r\n--batch\r\n\r\nHTTP/1.1 200"}),
    Request("GET", "loyaltyObject/1.b"),
    Request("POST", "loyaltyObject", {"id": "1.c"}),
]


def test_what_is_written_is_what_google_reads() -> None:
    calls = calls_of(*packed(REQUESTS))
    assert [(call.method, call.path, call.body) for call in calls] == [
        (request.method, f"/walletobjects/v1/{request.path}", request.body) for request in REQUESTS
    ]
    assert [call.label for call in calls] == ["0", "1", "2"]


@pytest.mark.parametrize("seed", range(5))
def test_each_answer_comes_to_its_request_in_whatever_order(seed: int) -> None:
    calls = calls_of(*packed(REQUESTS))
    told = [Told(status=200, body={"id": "ü\n\n"}), Told(status=404, body={}), Told(status=429, body={}, retry_after=9)]
    answers = unpacked(*written(calls, told, random.Random(seed)), 3)
    assert [(answer.status, answer.after) for answer in answers] == [(200, None), (404, None), (429, 9)]
    assert answers[0].read(dict) == {"id": "ü\n\n"}


def test_answers_without_names_are_taken_in_their_order() -> None:
    parts = [b"--x\nContent-Type: application/http\n\nHTTP/1.1 %d Told\n\n{}\n" % status for status in (200, 404)]
    body = b"".join([*parts, b"--x--"])
    assert [answer.status for answer in unpacked(body, 'multipart/mixed; boundary="x"', 2)] == [200, 404]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", ""),
        (b"{}", "application/json"),
        (b"<html></html>" * 1000, "multipart/mixed; boundary=x"),
        (b"--x" * 10_000, "multipart/mixed; boundary=x"),
        (b"--x\r\n\r\nHTTP/1.1 20\r\n\r\n", "multipart/mixed; boundary=x"),
        (b"--x\r\nContent-ID: <response-7>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}", "multipart/mixed; boundary=x"),
        (b"\xff\xfe--x\xff", "multipart/mixed; boundary=x"),
    ],
)
def test_what_is_no_answer_leaves_open_whether_it_was_done(content: bytes, kind: str) -> None:
    for answer in unpacked(content, kind, 2):
        assert answer == Answer(0, reason="Google's answer does not have the published shape", left=True)

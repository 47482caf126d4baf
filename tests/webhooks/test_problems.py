"""What goes wrong inside: answered without a word of it, and told to the log without anybody's data."""

from __future__ import annotations

import structlog
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from stampcard_webhooks.problems import told


async def test_a_mistake_of_ours_is_told_by_its_kind_and_place_and_never_by_its_text() -> None:
    async def fails(_: web.Request) -> web.Response:
        raise LookupError("ada@shop.example is there already")

    with structlog.testing.capture_logs(processors=[structlog.processors.format_exc_info]) as lines:
        answer = await told(fails)(make_mocked_request("GET", "/members"))

    assert answer.status == 500
    assert "ada@shop.example" not in f"{answer.text}{lines}"  # type: ignore[attr-defined]
    (line,) = lines
    assert (line["event"], line["error"].partition(",")[0]) == ("request_failed", "LookupError at fails")
    assert line["trace"][-1].startswith("test_problems.py:")

"""What the page about the counter shows is what happens."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stampcard.program.reading import read_program

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "work-at-the-counter.md"
#: A curl and the answer below it.
EXAMPLE = re.compile(r"```sh\ncurl (.*?)```\n\n```json\n(.*?)```", re.DOTALL)
HEAD = """
program: main
currency: EUR
timezone: Europe/Berlin
attributes: {phone: string}
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
rewards:
  coffee: {name: Free coffee, gives: 3 EUR off, price: 10, by: own}
  mug: {name: A mug, gives: merchandise, price: 40}
"""
#: When the examples are told.
NOW = datetime(2026, 11, 30, 9, 22, tzinfo=UTC)


def terms() -> str:
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return HEAD + str(text)


def same(told: Any, shown: Any, place: str = "") -> None:
    """All that the page shows is in what was told; `…` stands for anything."""
    if isinstance(shown, dict):
        for name, inner in shown.items():
            same(told[name], inner, f"{place}.{name}")
    elif isinstance(shown, list):
        assert len(told) >= len(shown), place
        for index, inner in enumerate(shown):
            same(told[index], inner, f"{place}.{index}")
    elif isinstance(shown, str) and shown.endswith("…"):
        assert str(told).startswith(shown[:-1]), place
    else:
        assert told == shown, place


def test_the_terms_are_those_of_a_program() -> None:
    counter = read_program(terms(), "page").counter
    assert (counter.points, counter.value, counter.typed) == (2000, Decimal(150), 20)


@pytest.mark.parametrize("served", ["sqlite"], indirect=True)
async def test_every_example_is_true(served: Any) -> None:
    served.clock.advance(NOW - served.clock.now())
    await served.prepare(terms())
    member = await served.rich(25, first_name="Ada")
    card = (await served.call("POST", f"/members/{member}/card")).body
    text = PAGE.read_text(encoding="utf-8")
    shown = {found.group(0) for found in re.finditer(r"S230208726672\w+", text)}
    assert len(shown) == 1
    text = text.replace(shown.pop(), card["code"]).replace("230208726672", card["number"])
    examples = EXAMPLE.findall(text)
    assert len(examples) == 4
    for command, answer in examples:
        method, body = (
            ("POST", json.loads(command.partition("-d '")[2].rpartition("'")[0])) if "-d" in command else ("GET", None)
        )
        (url,) = re.findall(r"https://[^\s\"]+", command)
        path = urlsplit(url)._replace(scheme="", netloc="").geturl().removeprefix("/api/v1")
        reply = await served.call(method, path, body, scopes=("counter",))
        assert reply.status == 200, reply.body
        same(reply.body, json.loads(answer), path)

"""What the pages show is what the plugin reads."""

from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stampcard.host.sections import read_settings
from stampcard.plugin import Delivery, OrderSeen, UnverifiedRequest, VerifiedRequest
from stampcard_standard_webhooks.messages import TYPES
from stampcard_standard_webhooks.plugin import plugin_manifest
from stampcard_standard_webhooks.schema import message_schema
from stampcard_standard_webhooks.settings import StandardWebhooksSettings
from stampcard_standard_webhooks.webhooks import GenericWebhooks

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "reference" / "standard_webhooks.md").read_text(encoding="utf8")
GUIDE = (ROOT / "docs" / "how-to" / "connect-any-shop.md").read_text(encoding="utf8")
SECRET = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
RECEIVED = dt.datetime(2026, 3, 10, 12, tzinfo=dt.UTC)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def events(settings: Any, body: bytes) -> list[Any]:
    source = GenericWebhooks(StandardWebhooksSettings.model_validate(settings))
    return list(source.events(Delivery(connection="t", key="k", topic="message", body=body, received_at=RECEIVED)))


def test_every_message_on_the_page_is_understood_and_there_is_one_of_each_type() -> None:
    shown = [json.loads(block) for block in blocks(PAGE, "json")]
    messages = [body for body in shown if "type" in body]
    assert {body["type"] for body in messages} == TYPES.keys()
    for body in messages:
        assert events({"webhook_secrets": SECRET}, json.dumps(body).encode()), body["type"]


def test_the_table_on_the_page_makes_an_order_of_the_body_on_the_page() -> None:
    (settings,) = [tomllib.loads(block) for block in blocks(PAGE, "toml")]
    (body,) = [block for block in blocks(PAGE, "json") if "buyer" in block]
    section = settings["connections"]["till"]
    del section["plugin"]
    (order,) = events({**section, "webhook_secrets": "a-shared-secret-1"}, body.encode())
    assert isinstance(order, OrderSeen)
    assert (order.reference, order.snapshot.customer, str(order.snapshot.total)) == ("4711", "7", "23.5")
    assert [str(line.gross) for line in order.snapshot.lines] == ["20", "3.5"]


def test_every_section_of_the_guide_is_a_valid_one() -> None:
    for block in blocks(GUIDE, "toml"):
        section = tomllib.loads(block)["connections"]["till"]
        section = {key: value for key, value in section.items() if key not in {"plugin", "orders_of"}}
        secret = SECRET if "signature" not in section else "a-shared-secret-1"
        assert read_settings("till", plugin_manifest(), {**section, "webhook_secrets": secret})[1] == ()


@pytest.mark.parametrize("path", sorted((ROOT / "config" / "connections").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_table_is_on_the_page_and_wants_a_secret_first(path: Path) -> None:
    assert f"config/connections/{path.name}" in PAGE
    section = tomllib.loads(path.read_text(encoding="utf8"))["connections"][path.stem]
    section = {key: value for key, value in section.items() if key not in {"plugin", "orders_of"}}
    (problem,) = read_settings(path.stem, plugin_manifest(), section)[1]
    assert "webhook_secrets" in str(problem)


def test_what_the_guides_own_sender_sends_is_let_in() -> None:
    (code,) = blocks(GUIDE, "python")
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own page
    tell: Callable[..., Any] = names["tell"]
    request = tell("https://points.example/webhooks/till", SECRET, "msg_1", {"reference": "A"})
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - so does the guide's function
    headers = {name.lower(): value for name, value in request.header_items()}
    source = GenericWebhooks(StandardWebhooksSettings.model_validate({"webhook_secrets": SECRET}))
    unverified = UnverifiedRequest(url=request.full_url, headers=headers, body=request.data, received_at=now)
    assert isinstance(source.verify(unverified), VerifiedRequest)


def test_the_schema_names_every_field_and_what_must_be_there() -> None:
    parts = message_schema()["$defs"]
    for shape in TYPES.values():
        fields = msgspec.structs.fields(shape)
        part = parts[shape.__name__]
        assert list(part["properties"]) == [field.name for field in fields]
        assert part.get("required", []) == [field.name for field in fields if field.required]
        assert part["additionalProperties"] is False

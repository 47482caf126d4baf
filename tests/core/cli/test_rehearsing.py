"""A webhook that is tried out: proven, read, decided, and nothing written; for every plugin, on both databases."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.clock import SystemClock
from stampcard.storage.database import Database
from stampcard.storage.tables import metadata
from stampcard.testing.applying import rows
from stampcard_shopify.simulator import ShopifySimulator

Run = Callable[..., Result]
SECRET = "whsec_ZnJvbSB0aGUgdGlsbCwgb25lIG9mIDMwIGJ5dGVz"
TILL = f"""
[connections.till]
plugin = "standard_webhooks"
webhook_secrets = "{SECRET}"

[connections.erp]
plugin = "standard_webhooks"
url = "https://erp.example/"
secrets = "whsec_YW4gb2xkZXIgb25lIG9mIDI0IGJ5dGVz"
"""
#: Orders that are too old earn nothing, and commands look at the clock.
NOW = SystemClock().now().isoformat()
ORDER = {
    "type": "order.updated",
    "timestamp": NOW,
    "data": {
        "reference": "A-1",
        "placed_at": NOW,
        "currency": "EUR",
        "total": "60",
        "paid": True,
        "customer": {"reference": "7", "attributes": {"first_name": "Ada"}},
        "lines": [{"price": "60"}],
    },
}


def fingerprint(database: Database) -> str:
    """Of everything in every table."""
    digest = hashlib.sha256()
    for table in metadata.sorted_tables:
        for row in rows(database, select(table).order_by(*table.primary_key.columns)):
            digest.update(repr((table.name, tuple(row))).encode())
    return digest.hexdigest()


@pytest.fixture
def till(installed: Path) -> Path:
    """A till beside the shop, and an order of it in order.json."""
    with (installed / "stampcard.toml").open("a") as settings:
        settings.write(TILL)
    (installed / "order.json").write_text(json.dumps(ORDER))
    return installed


def signed(body: bytes) -> list[str]:
    """The flags with the headers of a signed webhook."""
    now = SystemClock().now()
    signature = Webhook(SECRET).sign("msg_1", now, body.decode())
    told = {"Webhook-Id": "msg_1", "Webhook-Timestamp": int(now.timestamp()), "Webhook-Signature": signature}
    return [part for name, value in told.items() for part in ("--header", f"{name}: {value}")]


def test_a_webhook_says_what_it_tells_and_what_that_would_earn_and_nothing_is_written(
    run: Run, till: Path, database: Database
) -> None:
    before = fingerprint(database)
    headers = signed((till / "order.json").read_bytes())
    said = run("connection", "test", "till", "--payload", "order.json", *headers)
    assert said.exit_code == 0, said.output
    assert said.stdout.splitlines()[:8] == [
        "signature     good",
        "topic         message",
        "delivery key  msg_1",
        "1. customer_seen: customer 7, with first_name",
        "   Nothing would change.",
        "   somebody new: shares and variants may come out otherwise",
        "2. order_seen: order A-1, 60 EUR, paid, customer 7, lines: 1, refunds: 0",
        "   60.00 points.",
    ]
    told = json.loads(run("connection", "test", "till", "--payload", "order.json", *headers, "--json").stdout)
    assert (told["outcome"], told["signature"], told["key"]) == ("understood", "good", "msg_1")
    assert told["events"][1]["would"]["wallets"]["points"]["points"] == 6000
    assert told["events"][1]["event"]["snapshot"]["total"] == "60"
    assert fingerprint(database) == before


@on_sqlite
def test_a_wrong_signature_says_why_and_what_to_set(run: Run, till: Path) -> None:
    headers = signed(b"another body")
    said = run("connection", "test", "till", "--payload", "order.json", *headers)
    assert said.exit_code == 1
    assert said.stdout == "signature     refused\n"
    assert said.stderr == ("refused: no signature fits the body, its id and its timestamp (check webhook_secrets)\n")
    unsigned = run("connection", "test", "till", "--payload", "order.json", "--unsigned")
    assert unsigned.exit_code == 0, unsigned.output
    assert "signature     not looked at" in unsigned.stdout
    assert "60.00 points." in unsigned.stdout


@on_sqlite
def test_a_body_that_is_wrong_says_where(run: Run, till: Path) -> None:
    (till / "order.json").write_text(json.dumps({**ORDER, "data": {**ORDER["data"], "total": "x"}}))  # type: ignore[dict-item]
    said = run("connection", "test", "till", "--payload", "order.json", "--unsigned")
    assert said.exit_code == 1
    assert "malformed: data.total: invalid decimal string, not 'x'" in said.stderr
    (till / "order.json").write_text('{"type": "parcel.sent"}')
    said = run("connection", "test", "till", "--payload", "order.json", "--unsigned")
    assert said.exit_code == 0
    assert "It tells nothing that matters here." in said.stdout


@on_sqlite
def test_it_works_for_a_shop_as_well(run: Run, till: Path, database: Database) -> None:
    request = ShopifySimulator(7).sample("order.paid")
    body = request.body
    (till / "paid.json").write_bytes(body)
    signature = base64.b64encode(hmac.digest(b"a-secret", body, hashlib.sha256)).decode()
    topic = ("--header", "X-Shopify-Topic: orders/paid")
    before = fingerprint(database)
    good = run(
        "connection",
        "test",
        "shop",
        "--payload",
        "paid.json",
        *topic,
        "--header",
        f"X-Shopify-Hmac-Sha256: {signature}",
    )
    assert good.exit_code == 0, good.output
    assert "1. order_seen: order" in good.stdout
    assert run("connection", "test", "shop", "--payload", "paid.json", *topic, "--unsigned").exit_code == 0
    bad = run("connection", "test", "shop", "--payload", "paid.json", *topic)
    assert bad.exit_code == 1
    assert "the signature header is missing (check webhook_secrets)" in bad.stderr
    assert fingerprint(database) == before


@on_sqlite
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["till", "--payload", "nothing.json"], 3),
        (["till", "--payload", "order.json", "--header", "no colon"], 2),
        (["till", "--unsigned"], 2),
        (["nobody", "--payload", "order.json"], 1),
        (["erp", "--payload", "order.json"], 1),
    ],
)
def test_what_cannot_be_tried_ends_with_its_own_code(run: Run, till: Path, arguments: list[str], code: int) -> None:
    assert till.is_dir()
    assert run("connection", "test", *arguments).exit_code == code


@on_sqlite
def test_a_refund_a_customer_and_an_event_can_be_tried(run: Run, till: Path, data: Callable[..., Any]) -> None:
    bodies = {
        "refund.updated": {"order": "A-1", "reference": "R", "money": "5"},
        "customer.updated": {"reference": "9", "attributes": {"email": "x@y.example"}},
        "customer.erased": {"reference": "9"},
        "customer.merged": {"kept": "9", "gone": "8"},
        "event.happened": {"name": "visit", "customer": "9", "key": "k"},
    }
    found = {}
    for kind, body in bodies.items():
        (till / "body.json").write_text(json.dumps({**ORDER, "type": kind, "data": body}))
        (event,) = data("connection", "test", "till", "--payload", "body.json", "--unsigned")["events"]
        found[event["kind"]] = (event["would"] is not None, event["problem"])
    assert found == {
        "refund_seen": (True, ""),
        "customer_seen": (True, ""),
        "customer_erased": (False, ""),
        "customers_merged": (False, ""),
        "custom_event": (True, ""),
    }

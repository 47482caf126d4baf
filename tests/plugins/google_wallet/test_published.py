"""What is sent, and what the simulator knows, beside the discovery document that Google publishes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from stampcard.plugin import Capabilities, CardOffer, Message, PassPush, PassSink, RotatingCode
from stampcard.testing.clock import NOON, FakeClock
from stampcard_google_wallet.simulated_batches import Call
from stampcard_google_wallet.simulated_fields import REQUIRED, SCHEMAS
from stampcard_google_wallet.simulator import GoogleWalletSimulator

pytestmark = pytest.mark.vendor
ROOT = "walletobjects/v1/"
SERIAL = "a0" * 12
Schema = Mapping[str, Any]


@pytest.fixture(scope="module")
def published() -> Schema:
    """Google's discovery document of the Wallet API."""
    folder = os.environ.get("VENDOR_SPECS")
    if not folder:
        pytest.skip("VENDOR_SPECS does not name a folder of vendor schemas and samples")
    text = (Path(folder) / "google_wallet" / "walletobjects.v1.json").read_text(encoding="utf8")
    found: Schema = json.loads(text)
    return found


def misfits(published: Schema, schema: Schema, value: Any, place: str, *, is_patch: bool = False) -> Iterator[str]:
    """Where a value is not as the schema says, also inside; in a patch null takes a field away, but not within a list."""
    schema = published["schemas"][schema["$ref"]] if "$ref" in schema else schema
    kind = schema["type"]
    if not isinstance(value, _KINDS[kind]) or isinstance(value, bool) != (kind == "boolean"):
        yield f"{place} is no {kind}: {value!r}"
    elif kind == "object":
        for name, one in value.items():
            known = schema["properties"].get(name)
            if known is None or _is_deprecated(known):
                yield f"{place}.{name} is not published"
            elif one is not None or not is_patch:
                yield from misfits(published, known, one, f"{place}.{name}", is_patch=is_patch)
    elif kind == "array":
        for number, one in enumerate(value):
            yield from misfits(published, schema["items"], one, f"{place}[{number}]")
    else:
        yield from _plain_misfits(schema, value, place)


def _plain_misfits(schema: Schema, value: Any, place: str) -> Iterator[str]:
    if schema.get("format") == "int64" and not str(value).isdecimal():
        yield f"{place} is no int64: {value!r}"
    elif "enum" in schema and value not in _current(schema):
        yield f"{place} is none of {_current(schema)}: {value!r}"


def _is_deprecated(schema: Schema) -> bool:
    return bool(schema.get("deprecated")) or str(schema.get("description", "")).startswith("Deprecated")


_KINDS: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": (list, tuple),
    "object": dict,
}


def _current(schema: Schema) -> list[str]:
    """The words that are not deprecated."""
    old = schema.get("enumDeprecated", [False] * len(schema["enum"]))
    return [word for word, is_old in zip(schema["enum"], old, strict=True) if not is_old]


def methods(published: Schema) -> Iterator[Schema]:
    for resource in published["resources"].values():
        yield from resource.get("methods", {}).values()


def operation_of(published: Schema, call: Call) -> Schema | None:
    """What is published for a request."""
    path = (ROOT + call.path.partition("?")[0]).split("/")
    for method in methods(published):
        template = method["path"].split("/")
        fits = len(template) == len(path) and all(t in {p, "{resourceId}"} for t, p in zip(template, path, strict=True))
        if fits and method["httpMethod"] == call.method:
            return method
    return None


def wrong_in(published: Schema, call: Call) -> list[str]:
    operation = operation_of(published, call)
    if operation is None:
        return [f"{call.method} {call.path} is not published"]
    query = [part.partition("=")[0] for part in call.path.partition("?")[2].split("&") if part]
    wrong = [f"{name} is not published" for name in query if name not in operation["parameters"]]
    if call.body is not None:
        is_patch = call.method == "PATCH"
        wrong += misfits(published, operation["request"], call.body, "body", is_patch=is_patch)
    return wrong


async def test_every_request_is_one_that_is_published(
    published: Schema,
    google: GoogleWalletSimulator,
    able: Capabilities,
    passes: PassSink,
    push: Callable[..., PassPush],
    message: Callable[..., Message],
    clock: FakeClock,
) -> None:
    (channel,) = able.channels
    ends = datetime(2026, 12, 24, tzinfo=UTC)
    full = push(offers=(CardOffer(id="r1", title="Coffee", code="F1", ends_at=ends), CardOffer(id="r2", title="Cake")))
    code = RotatingCode(pattern="R{timestamp}{password}", key="00" * 20, period=30, digits=8)
    await passes.deliver([full])
    await passes.deliver(
        [push(rotating=code, notify=True), push("b1" * 12, holder="", fields=(), page="https://x.example")]
    )
    await passes.deliver([push(offers=full.offers[:1], active=False)])
    await passes.link(push("c2" * 12), is_there=False)
    await channel.send([message(until=NOON + timedelta(days=1)), message(id="msg-2", link="")])
    clock.advance(channel.visible_after)
    await channel.lookup(message(), NOON)
    google.fail("POST loyaltyClass", 409)
    await passes.deliver([push(design=replace(full.design, program="bare", banner="", colour="", page="", labels={}))])
    await passes.end([SERIAL])
    assert able.check_health is not None
    await able.check_health()
    seen = {f"{call.method} {call.path.partition('/')[0].partition('?')[0]}" for call in google.calls}
    assert seen == {
        *("POST loyaltyClass", "PATCH loyaltyClass", "GET loyaltyClass", "POST loyaltyObject", "PATCH loyaltyObject"),
        *("GET loyaltyObject", "POST offerClass", "POST offerObject", "PATCH offerObject", "POST jwt"),
    }
    wrong = {f"{call.method} {call.path}": wrong_in(published, call) for call in google.calls}
    assert {call: told for call, told in wrong.items() if told} == {}


def test_what_is_required_is_in_what_is_made(published: Schema) -> None:
    """What the simulated one wants is what the descriptions call required."""
    for schema in ("LoyaltyClass", "LoyaltyObject", "OfferClass", "OfferObject"):
        told = published["schemas"][schema]["properties"]
        assert set(REQUIRED[schema]) == {
            name for name, of in told.items() if of.get("description", "").startswith("Required")
        }


def test_the_simulated_one_knows_no_field_that_is_not_published(published: Schema) -> None:
    for schema, fields in SCHEMAS.items():
        known = published["schemas"][schema]["properties"]
        for name, told in fields.items():
            of, kind = (known[name]["items"], told[0]) if isinstance(told, list) else (known[name], told)
            if isinstance(kind, tuple):
                assert set(kind) <= set(_current(of)), f"{schema}.{name}"
            else:
                assert kind in {of.get("$ref"), of.get("type")}, f"{schema}.{name}"


def test_a_request_that_is_not_published_would_be_found(published: Schema) -> None:
    """The comparison itself tells wrong from right."""
    body = {
        "id": 1,
        "state": "active",
        "loyaltyPoints": {"balance": {"int": "1"}},
        "textModulesData": [{"text": ""}],
        "kindness": "",
    }
    wrong = wrong_in(published, Call(method="POST", path="loyaltyObject", body=body))
    assert [text.partition(" ")[0] for text in wrong] == [
        "body.id", "body.state", "body.loyaltyPoints.balance.int", "body.textModulesData[0].text", "body.kindness",
    ]  # fmt: skip
    assert wrong_in(published, Call(method="DELETE", path="loyaltyObject/1.a")) == [
        "DELETE loyaltyObject/1.a is not published"
    ]
    assert wrong_in(published, Call(method="GET", path="loyaltyClass?issuer=1")) == ["issuer is not published"]
    assert wrong_in(published, Call(method="PATCH", path="loyaltyObject/1.a", body={"barcode": None})) == []
    (told,) = wrong_in(published, Call(method="POST", path="loyaltyObject", body={"barcode": None}))
    assert told == "body.barcode is no object: None"
    inside = {"loyaltyPoints": {"balance": {"int": None}}}
    assert wrong_in(published, Call(method="PATCH", path="loyaltyObject/1.a", body=inside)) == []
    (told,) = wrong_in(published, Call(method="POST", path="loyaltyObject", body=inside))
    assert told == "body.loyaltyPoints.balance.int is no integer: None"
    (told,) = wrong_in(
        published, Call(method="PATCH", path="loyaltyObject/1.a", body={"textModulesData": [{"id": None}]})
    )
    assert told == "body.textModulesData[0].id is no string: None"


def test_calls_go_where_the_document_says(published: Schema) -> None:
    assert published["rootUrl"].rstrip("/") == "https://walletobjects.googleapis.com"
    assert published["batchPath"] == "batch"
    assert "https://www.googleapis.com/auth/wallet_object.issuer" in published["auth"]["oauth2"]["scopes"]

"""What is sent, and what the simulator answers, beside the schema that Twilio publishes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from stampcard.plugin import Message
from stampcard.testing.clock import NOON, FakeClock
from stampcard_twilio.payloads import STATES, Made, Page
from stampcard_twilio.plugin import connect
from stampcard_twilio.sending import SmsChannel
from stampcard_twilio.simulator import TwilioSimulator

pytestmark = pytest.mark.vendor
ROOT = "/2010-04-01/Accounts/{AccountSid}"
Schema = Mapping[str, Any]


@pytest.fixture(scope="module")
def published() -> Schema:
    """Twilio's OpenAPI of 2010-04-01."""
    folder = os.environ.get("VENDOR_SPECS")
    if not folder:
        pytest.skip("VENDOR_SPECS does not name a folder of vendor schemas and samples")
    found: Schema = json.loads((Path(folder) / "twilio" / "twilio_api_v2010.json").read_text(encoding="utf8"))
    return found


def resolved(published: Schema, schema: Schema) -> Schema:
    name = schema.get("$ref", "").rpartition("/")[2]
    return published["components"]["schemas"][name] if name else schema


def misfits(published: Schema, schema: Schema, value: Any, place: str = "") -> Iterator[str]:
    """Where a value is not as the schema says; texts of forms and queries are looked at as what they stand for."""
    schema = resolved(published, schema)
    if value is None:
        if not schema.get("nullable"):
            yield f"{place} is null"
        return
    kind = schema.get("type", "")
    if kind in {"integer", "number"} and isinstance(value, str):
        value = int(value) if re.fullmatch(r"-?[0-9]+", value) else value
    if kind in _KINDS and (not isinstance(value, _KINDS[kind]) or isinstance(value, bool) != (kind == "boolean")):
        yield f"{place} is no {kind}: {value!r}"
        return
    if kind == "string":
        yield from _texts(schema, value, place)
    elif kind == "integer" and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{place} is out of range: {value}"
    elif kind == "array":
        for number, one in enumerate(value):
            yield from misfits(published, schema["items"], one, f"{place}[{number}]")
    elif kind == "object" and "properties" in schema:
        yield from _fields(published, schema, value, place)


_KINDS: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "array": list,
    "object": dict,
}


def _texts(schema: Schema, value: str, place: str) -> Iterator[str]:
    if "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{place} is not like {schema['pattern']}: {value}"
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        yield f"{place} is too short or too long: {value}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place} is none of {schema['enum']}: {value}"


def _fields(published: Schema, schema: Schema, value: Mapping[str, Any], place: str) -> Iterator[str]:
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place}.{name} is missing"
    for name, one in value.items():
        if name not in schema["properties"]:
            yield f"{place}.{name} is not published"
        else:
            yield from misfits(published, schema["properties"][name], one, f"{place}.{name}")


def operation_of(published: Schema, method: str, path: str) -> Schema:
    """What is published for a call, and that its path fits."""
    template = re.sub(r"^(/2010-04-01/Accounts)/AC[0-9a-fA-F]{32}", r"\1/{AccountSid}", path)
    paths = published["paths"]
    found: Schema = paths[template if template in paths else template.replace("AccountSid", "Sid")][method.lower()]
    return found


def wrong_in(published: Schema, method: str, url: httpx.URL, form: Mapping[str, str]) -> list[str]:
    operation = operation_of(published, method, url.path)
    known = {told["name"]: told["schema"] for told in operation["parameters"] if told["in"] == "query"}
    query = dict(url.params)
    wrong = [f"{name} is not published" for name in query.keys() - known.keys()]
    wrong += [misfit for name in query.keys() & known for misfit in misfits(published, known[name], query[name], name)]
    if form:
        schema = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        wrong += misfits(published, schema, form, "form")
    return wrong


async def test_every_call_is_one_that_is_published(
    published: Schema,
    simulated: TwilioSimulator,
    connection: Callable[..., Any],
    message: Callable[..., Message],
    clock: FakeClock,
) -> None:
    for changes in ({"validity": 300}, {"sender": None, "messaging_service": "MG" + "ab" * 16}, {"sender": "72273"}):
        able = await connect(connection(**changes))
        (channel,) = able.channels
        await channel.send([message(until=NOON + timedelta(days=30)), message(reports="")])
        clock.advance(channel.visible_after)
        await channel.lookup(message(), clock.now() - channel.visible_after)
        assert able.check_health is not None
        await able.check_health()
    for number in range(201):
        simulated.book.make({"To": message().to, "From": simulated.number, "Body": f"text {number}"}, clock.now())
    await channel.lookup(message(text="Nowhere"), NOON)
    assert len(simulated.calls) == 6 + 3 + 3 + 2
    for call in simulated.calls:
        url = httpx.URL(call.path, params=dict(call.query))
        assert wrong_in(published, call.method, url, call.form) == [], call


def test_a_call_that_is_not_published_would_be_found(published: Schema) -> None:
    """The comparison itself tells wrong from right."""
    url = httpx.URL(f"/2010-04-01/Accounts/AC{'0' * 32}/Messages.json", params={"PageSize": "1001", "Since": "now"})
    wrong = wrong_in(published, "GET", url, {})
    assert [text.partition(" ")[0] for text in wrong] == ["Since", "PageSize"]
    form = {"Body": "Hello", "MessagingServiceSid": "MG1", "ValidityPeriod": "soon", "Texts": "x"}
    wrong = wrong_in(published, "POST", url.copy_with(params={}), form)
    assert sorted({text.partition(" ")[0] for text in wrong}) == [
        "form.MessagingServiceSid",
        "form.Texts",
        "form.To",
        "form.ValidityPeriod",
    ]


async def test_what_the_simulator_answers_is_what_is_published(
    published: Schema, simulated: TwilioSimulator, channel: SmsChannel, message: Callable[..., Message]
) -> None:
    await channel.send([message(reports="")])
    simulated.book.hear("+14155550123", "Hello", NOON)
    simulated.lose("+14155550123", 30005)
    await simulated.deliver()
    token = simulated.settings()["auth_token"][0]  # type: ignore[index]
    account = f"{simulated.api_url}/2010-04-01/Accounts/{simulated.book.account}"
    async with httpx.AsyncClient(trust_env=False, auth=(simulated.book.account, token)) as http:
        for address in (f"{account}/Messages.json?PageSize=1", f"{account}.json"):
            answer = await http.get(address)
            schema = operation_of(published, "GET", answer.url.path)["responses"]["200"]["content"]
            assert list(misfits(published, schema["application/json"]["schema"], answer.json())) == []
        form = {"To": "+14155550124", "From": simulated.number, "Body": "Hello"}
        answer = await http.post(f"{account}/Messages.json", data=form)
    schema = operation_of(published, "POST", answer.url.path)["responses"]["201"]["content"]["application/json"]
    assert list(misfits(published, schema["schema"], answer.json())) == []


def test_every_published_status_is_in_the_table_or_of_what_comes_in(published: Schema) -> None:
    known = set(published["components"]["schemas"]["message_enum_status"]["enum"])
    assert known == STATES.keys() | {"receiving", "received"}


def test_every_published_example_is_understood(published: Schema) -> None:
    path = published["paths"][f"{ROOT}/Messages.json"]
    made = path["post"]["responses"]["201"]["content"]["application/json"]["examples"]
    for example in made.values():
        sid = re.sub(r"^(SM|MM)a+$", r"\1" + "a" * 32, example["value"]["sid"])
        assert msgspec.convert({**example["value"], "sid": sid}, type=Made).sid == sid
    for example in path["get"]["responses"]["200"]["content"]["application/json"]["examples"].values():
        page = msgspec.convert(example["value"], type=Page)
        assert len(page.messages) == len(example["value"]["messages"])


def test_the_parameters_that_are_sent_are_all_there(published: Schema) -> None:
    path = published["paths"][f"{ROOT}/Messages.json"]
    form = path["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
    sent = {"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ValidityPeriod"}
    assert sent <= form["properties"].keys()
    assert form["required"] == ["To"]

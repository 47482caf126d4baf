"""Batches that HubSpot takes only in part, or not at all, and opt-outs, which are no properties that can be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import msgspec
import pytest

from stampcard.plugin import Capabilities, ContactPush, Contacts, Delivered, Outcome, Rejected, RetryLater
from stampcard_hubspot.batching import MOST_CALLS
from stampcard_hubspot.calling import CallFailed, later
from stampcard_hubspot.client import Client
from stampcard_hubspot.contacts import HubSpotContacts
from stampcard_hubspot.reading import Reader
from stampcard_hubspot.settings import ContactMap
from stampcard_hubspot.simulator import HubSpotSimulator
from stampcard_hubspot.writing import Writing

Inputs = Sequence[Mapping[str, Any]]
Answer = Callable[[Inputs], httpx.Response]


def push(number: int, *, fresh: bool = False, **fields: str) -> ContactPush:
    told = fields or {"loyalty_points": str(number)}
    return ContactPush(member=f"m-{number}", reference="" if fresh else str(number), version=1, fields=told)


def done(number: str, **properties: str) -> dict[str, Any]:
    return {"id": number, "properties": properties}


@pytest.fixture
def calls() -> list[Inputs]:
    return []


@pytest.fixture
def writing(connection: Any, calls: list[Inputs]) -> Callable[[Answer], Writing]:
    """Write to a HubSpot that answers so."""

    def make(answer: Answer) -> Writing:
        def play(request: httpx.Request) -> httpx.Response:
            inputs = msgspec.json.decode(request.content)["inputs"]
            calls.append(inputs)
            return answer(inputs)

        context = connection(play=play)
        return Writing(Client(context), ContactMap(context.settings))

    return make


def refusing(bad: set[str], status: int = 400, **told: Any) -> Answer:
    """A HubSpot that knows no traces, and refuses all for a bad one."""

    def answer(inputs: Inputs) -> httpx.Response:
        if bad & {one["id"] for one in inputs}:
            return httpx.Response(status, json={"category": "VALIDATION_ERROR", "message": "no", **told})
        return httpx.Response(200, json={"results": [done(one["id"], **one["properties"]) for one in inputs]})

    return answer


async def test_a_batch_that_is_refused_for_one_is_halved_until_that_one_is_alone(
    writing: Any, calls: list[Inputs]
) -> None:
    items = [push(number) for number in range(1, 17)]
    outcomes = await writing(refusing({"11"})).write(items)
    assert [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)] == [10]
    assert outcomes[10] == Rejected(reason="HubSpot refuses the contact (VALIDATION_ERROR)")
    assert [len(inputs) for inputs in calls] == [16, 8, 8, 4, 2, 2, 1, 1, 4]


async def test_where_nearly_all_are_bad_it_stops_asking(writing: Any, calls: list[Inputs]) -> None:
    outcomes = await writing(refusing({str(number) for number in range(1, 101)})).write(
        [push(number) for number in range(1, 101)]
    )
    assert len(calls) == MOST_CALLS
    assert {type(outcome) for outcome in outcomes} == {Rejected, RetryLater}


async def test_a_batch_that_is_put_off_is_not_halved(writing: Any, calls: list[Inputs]) -> None:
    outcomes = await writing(refusing({"1"}, 503)).write([push(1), push(2)])
    assert outcomes == [RetryLater(reason="HubSpot answered 503 (VALIDATION_ERROR)")] * 2
    assert len(calls) == 1


async def test_each_input_is_traced_and_all_values_are_texts(writing: Any, calls: list[Inputs]) -> None:
    await writing(refusing(set())).write([push(1), push(2, fresh=True)])
    assert calls == [
        [{"id": "1", "properties": {"loyalty_points": "1"}, "objectWriteTraceId": "place-0"}],
        [
            {
                "id": "m-2",
                "idProperty": "loyalty_member_id",
                "properties": {"loyalty_points": "2", "loyalty_member_id": "m-2"},
                "objectWriteTraceId": "place-0",
            }
        ],
    ]


async def test_answers_are_told_apart_by_traces_ids_or_the_members_id(writing: Any) -> None:
    def answer(inputs: Inputs) -> httpx.Response:
        if "idProperty" in inputs[0]:
            results = [done(f"90{one['id'][2:]}", loyalty_member_id=one["id"]) for one in inputs]
        else:
            results = [{**done("77"), "objectWriteTraceId": inputs[0]["objectWriteTraceId"]}, done("2")]
        return httpx.Response(200, json={"results": results[::-1]})

    outcomes = await writing(answer).write([push(1), push(3, fresh=True), push(2), push(4, fresh=True)])
    assert [getattr(outcome, "result", {}).get("reference") for outcome in outcomes] == ["77", "903", "2", "904"]


async def test_who_is_left_out_of_an_answer_is_sent_alone(writing: Any, calls: list[Inputs]) -> None:
    def answer(inputs: Inputs) -> httpx.Response:
        return httpx.Response(200, json={"results": [done("5" if len(inputs) == 1 else inputs[0]["id"])]})

    outcomes = await writing(answer).write([push(1), push(2)])
    assert [getattr(outcome, "result", {}).get("reference") for outcome in outcomes] == ["1", "5"]
    assert [len(inputs) for inputs in calls] == [2, 1]


async def test_an_answer_that_tells_of_nobody_is_tried_later(writing: Any, calls: list[Inputs]) -> None:
    outcomes = await writing(lambda _: httpx.Response(200, json={"results": []})).write([push(1), push(2)])
    assert [type(outcome) for outcome in outcomes] == [RetryLater, RetryLater]
    assert len(calls) == 1


async def test_errors_in_an_answer_are_each_their_own_items(writing: Any) -> None:
    def answer(_: Inputs) -> httpx.Response:
        errors = [
            {"category": "OBJECT_NOT_FOUND", "message": "x", "context": {"ids": ["1"]}},
            {"category": "CONFLICT", "message": "Contact already exists. Existing ID: 88", "context": {"ids": ["2"]}},
            {
                "category": "VALIDATION_ERROR",
                "context": {"objectWriteTraceId": ["place-2"], "propertyName": ["loyalty_points"]},
            },
        ]
        return httpx.Response(207, json={"results": [done("4")], "numErrors": 3, "errors": errors})

    outcomes = await writing(answer).write([push(number) for number in range(1, 5)])
    assert outcomes == [
        Rejected(reason="the contact is not there any more", gone=True),
        Rejected(reason="the contact 88 has the same e-mail address: merge the two in HubSpot"),
        Delivered(
            result={
                "reference": "3",
                "fields": {},
                "refused": {"loyalty_points": "HubSpot refuses the value of loyalty_points (VALIDATION_ERROR)"},
            }
        ),
        Delivered(result={"reference": "4", "fields": {"loyalty_points": "4"}}),
    ]


async def test_what_an_answer_leaves_out_stands_there_as_it_was_sent(writing: Any) -> None:
    answer = httpx.Response(200, json={"results": [{"id": "1", "properties": {"loyalty_tier": None}}]})
    (outcome,) = await writing(lambda _: answer).write([push(1, loyalty_points="12.50", loyalty_tier="")])
    assert outcome.result["fields"] == {"loyalty_points": "12.5", "loyalty_tier": ""}


async def test_a_value_that_is_refused_is_named_and_never_quoted(writing: Any) -> None:
    message = 'Property values were not valid: [{"message":"ada was not valid","error":"INVALID_DOUBLE","name":"loyalty_points"}]'
    (outcome,) = await writing(refusing({"1"}, message=message)).write([push(1)])
    reason = "HubSpot refuses the value of loyalty_points (VALIDATION_ERROR)"
    assert outcome == Delivered(result={"reference": "1", "fields": {}, "refused": {"loyalty_points": reason}})


async def test_the_rest_of_a_contact_is_written_without_what_is_refused(writing: Any, calls: list[Inputs]) -> None:
    message = 'Property values were not valid: [{"message":"no","error":"INVALID_DOUBLE","name":"loyalty_points"}]'

    def answer(inputs: Inputs) -> httpx.Response:
        if any("loyalty_points" in one["properties"] for one in inputs):
            return httpx.Response(400, json={"category": "VALIDATION_ERROR", "message": message})
        return httpx.Response(200, json={"results": [done(one["id"], **one["properties"]) for one in inputs]})

    (outcome,) = await writing(answer).write([push(1, loyalty_points="many", firstname="Ada")])
    assert outcome.result["fields"] == {"firstname": "Ada"}
    assert outcome.result["refused"].keys() == {"loyalty_points"}
    assert len(calls) == 2


async def test_without_anything_to_write_nothing_is_asked(writing: Any, calls: list[Inputs]) -> None:
    items = [push(1, hs_email_optout="true"), ContactPush(member="m-2", reference="2", version=1)]
    outcomes = await writing(refusing(set())).write(items)
    assert [getattr(outcome, "result", None) for outcome in outcomes] == [
        {"reference": "1", "fields": {}},
        {"reference": "2", "fields": {}},
    ]
    assert calls == []
    assert await writing(refusing(set())).write([]) == []


@pytest.fixture
def contacts(able: Capabilities) -> Contacts:
    assert able.contacts is not None
    return able.contacts


def said(portal: HubSpotSimulator) -> int:
    return len([call for call in portal.calls if call.path.endswith("/unsubscribe-all")])


async def test_an_opt_out_that_is_new_is_said_once_of_the_address(contacts: Contacts, portal: HubSpotSimulator) -> None:
    one, other = portal.add(email="a+b/c@example.com"), portal.add(email="b@example.com")
    items = [
        push(int(one), hs_email_optout="true", loyalty_points="5"),
        push(int(other), loyalty_points="6"),
        push(7, fresh=True, email="c@example.com", hs_email_optout="true"),
    ]
    outcomes = await contacts.write(items)
    told = [one.result["fields"] for one in outcomes if isinstance(one, Delivered)]
    assert told[:2] == [{"loyalty_points": "5", "hs_email_optout": "true"}, {"loyalty_points": "6"}]
    assert told[2]["hs_email_optout"] == "true"
    assert portal.contact(one).get("hs_email_optout") == "true"
    assert said(portal) == 2
    await contacts.write(items)
    assert said(portal) == 2


async def test_to_come_back_is_a_persons_own(contacts: Contacts, portal: HubSpotSimulator) -> None:
    """Nothing is asked for, and what is answered is what HubSpot shows."""
    one, other = portal.add(email="a@example.com"), portal.add(email="b@example.com")
    portal.people.opt_out(one)
    outcomes = await contacts.write([push(int(id_), hs_email_optout="false") for id_ in (one, other)])
    told = [outcome.result["fields"] for outcome in outcomes if isinstance(outcome, Delivered)]
    assert told == [{"hs_email_optout": "true"}, {"hs_email_optout": ""}]
    assert said(portal) == 0


async def test_who_has_no_address_has_nothing_to_opt_out_of(contacts: Contacts, portal: HubSpotSimulator) -> None:
    one = portal.add(phone="+4930123")
    (outcome,) = await contacts.write([push(int(one), hs_email_optout="true")])
    assert isinstance(outcome, Delivered)
    reason = "the contact has no e-mail address, of which alone HubSpot keeps an opt-out"
    assert outcome.result["refused"] == {"hs_email_optout": reason}


@pytest.mark.parametrize("part", ["unsubscribe-all", "batch/read"])
async def test_an_opt_out_that_could_not_be_said_is_said_later(
    contacts: Contacts, portal: HubSpotSimulator, part: str
) -> None:
    one, other = portal.add(email="a@example.com"), portal.add(email="b@example.com")
    portal.fail(part, 503)
    outcomes = await contacts.write([push(int(one), hs_email_optout="true"), push(int(other))])
    assert outcomes[0] == RetryLater(reason="HubSpot answered 503")
    assert isinstance(outcomes[1], Delivered)


async def test_whatever_fails_each_has_an_outcome(connection: Any) -> None:
    """Also where the network breaks in the middle."""

    def play(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    context = connection(play=play)
    fields = ContactMap(context.settings)
    contacts = HubSpotContacts(client := Client(context), fields, Reader(client, fields))
    items = [push(1), push(2, fresh=True), push(3, hs_email_optout="true")]
    outcomes: Sequence[Outcome] = await contacts.write(items)
    assert outcomes == [later("no answer from HubSpot: ReadTimeout").outcome] * 3
    assert await contacts.remove(["1"]) == await contacts.erase(["1"]) == [outcomes[0]]
    for ask in (contacts.count, contacts.read):
        with pytest.raises(CallFailed):
            await ask()

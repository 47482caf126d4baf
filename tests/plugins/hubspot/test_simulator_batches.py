"""Batches of contacts in the simulated portal."""

from __future__ import annotations

from typing import Any

import pytest

from stampcard_hubspot.simulator import HubSpotSimulator

ROOT = "/crm/v3/objects/contacts/batch"
MEMBER = {"name": "member_id", "label": "Member", "type": "string", "fieldType": "text", "hasUniqueValue": True}


@pytest.fixture
def portal(simulated: HubSpotSimulator) -> HubSpotSimulator:
    simulated.schema.add(MEMBER | {"groupName": "contactinformation"}, 0)
    return simulated


def one(id_: str, trace: str = "", **properties: str) -> dict[str, Any]:
    told = {"id": id_, "idProperty": "member_id", "properties": properties}
    return told | ({"objectWriteTraceId": trace} if trace else {})


async def put(api: Any, *inputs: dict[str, Any]) -> Any:
    return await api.post(f"{ROOT}/upsert", json={"inputs": list(inputs)})


async def test_an_upsert_makes_or_changes_and_says_which(portal: HubSpotSimulator, api: Any) -> None:
    known = portal.add(email="a@example.com", member_id="m1")
    answer = await put(api, one("m1", firstname="Ada"), one("m2", email="b@example.com"))
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, "COMPLETE")
    assert [(result["id"] == known, result["new"]) for result in body["results"]] == [(True, False), (False, True)]
    assert body["results"][1]["properties"]["member_id"] == "m2"
    assert portal.contact(known).get("firstname") == "Ada"
    assert portal.calls[-1].inputs == 2
    by_email = {"id": "B@Example.com", "idProperty": "email", "properties": {"city": "Rome"}}
    assert (await put(api, by_email)).json()["results"][0]["new"] is False


async def test_without_traces_one_unfit_input_stops_the_whole_batch(portal: HubSpotSimulator, api: Any) -> None:
    holder = portal.add(email="a@example.com")
    answer = await put(api, one("m1", firstname="Ada"), one("m2", email="a@example.com"))
    assert (answer.status_code, answer.json()["category"]) == (409, "CONFLICT")
    assert answer.json()["message"].endswith(holder)
    answer = await put(api, one("m1", firstname="Ada"), one("m2", points="1"))
    assert (answer.status_code, answer.json()["category"]) == (400, "VALIDATION_ERROR")
    assert len(portal.contacts()) == 1


async def test_with_traces_each_input_goes_by_itself(portal: HubSpotSimulator, api: Any) -> None:
    holder = portal.add(email="a@example.com")
    answer = await put(
        api, one("m1", "t1", firstname="Ada"), one("m2", "t2", email="a@example.com"), one("m3", "t3", points="1")
    )
    body = answer.json()
    assert (answer.status_code, body["numErrors"]) == (207, 2)
    assert [result["objectWriteTraceId"] for result in body["results"]] == ["t1"]
    taken, unknown = body["errors"]
    assert taken["context"] == {"existingId": [holder], "ids": ["m2"], "objectWriteTraceId": ["t2"]}
    assert (taken["category"], unknown["category"]) == ("CONFLICT", "VALIDATION_ERROR")
    assert unknown["context"] == {"ids": ["m3"], "objectWriteTraceId": ["t3"]}


async def test_a_value_that_must_be_unique_is(portal: HubSpotSimulator, api: Any) -> None:
    first = portal.add(email="a@example.com", member_id="m1")
    second = portal.add(email="b@example.com")
    path = f"/crm/v3/objects/contacts/{second}"
    refused = await api.patch(path, json={"properties": {"member_id": "m1"}})
    assert refused.status_code == 400
    assert "CONFLICTING_UNIQUE_VALUE" in refused.json()["message"]
    assert first in refused.json()["message"]
    assert (await api.get("/crm/v3/objects/contacts/m1?idProperty=member_id")).json()["id"] == first
    assert (await api.get("/crm/v3/objects/contacts/x?idProperty=city")).status_code == 400


@pytest.mark.parametrize(
    "inputs",
    [
        [],
        [one(f"m{number}") for number in range(101)],
        [one("m1"), one("m1")],
        [{"id": "m1", "properties": {}}],
        [{"idProperty": "member_id", "properties": {}}],
        [{"id": "m1", "idProperty": "city", "properties": {}}],
        [one("m1") | {"properties": {"firstname": 1}}],
        [1],
    ],
)
async def test_a_batch_that_is_none_is_refused(portal: HubSpotSimulator, api: Any, inputs: list[Any]) -> None:
    answer = await api.post(f"{ROOT}/upsert", json={"inputs": inputs})
    assert answer.status_code == 400
    assert portal.contacts() == []


async def test_reading_tells_which_are_not_there(portal: HubSpotSimulator, api: Any) -> None:
    known = portal.add(email="a@example.com", member_id="m1")
    asked = {"idProperty": "member_id", "properties": ["member_id"], "inputs": [{"id": "m1"}, {"id": "m9"}]}
    answer = await api.post(f"{ROOT}/read", json=asked)
    body = answer.json()
    assert (answer.status_code, [result["id"] for result in body["results"]]) == (207, [known])
    (error,) = body["errors"]
    assert (error["category"], error["context"]) == ("OBJECT_NOT_FOUND", {"ids": ["m9"]})
    assert (await api.post(f"{ROOT}/read", json=asked | {"inputs": [{"id": "m1"}]})).status_code == 200


async def test_creating_updating_and_archiving_in_batches(portal: HubSpotSimulator, api: Any) -> None:
    made = await api.post(
        f"{ROOT}/create", json={"inputs": [{"properties": {"email": f"{n}@example.com"}} for n in range(3)]}
    )
    ids = [result["id"] for result in made.json()["results"]]
    assert (made.status_code, len(ids)) == (201, 3)
    changes = [{"id": id_, "properties": {"city": "Rome"}} for id_ in (*ids[:2], "404")]
    changed = await api.post(f"{ROOT}/update", json={"inputs": changes})
    assert (changed.status_code, len(changed.json()["results"])) == (207, 2)
    assert changed.json()["errors"][0]["context"] == {"ids": ["404"]}
    archived = await api.post(f"{ROOT}/archive", json={"inputs": [{"id": id_} for id_ in (*ids[:2], "404")]})
    assert archived.status_code == 204
    assert [str(contact.id) for contact in portal.contacts()] == ids[2:]
    same = [{"properties": {"email": "same@example.com"}}] * 2
    assert (await api.post(f"{ROOT}/create", json={"inputs": same})).status_code == 409

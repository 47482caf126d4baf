"""Contacts of the simulated portal: one by one, by cursor, merged and erased."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from stampcard.testing.clock import FakeClock
from stampcard_hubspot.simulated_errors import Refusal
from stampcard_hubspot.simulated_plan import CALM, PortalPlan
from stampcard_hubspot.simulator import HubSpotSimulator, build

ROOT = "/crm/v3/objects/contacts"
DATED = "/crm/objects/2026-03/contacts"


def problems(answer: Any) -> list[dict[str, Any]]:
    """What HubSpot wrote into the message of a validation error."""
    message = answer.json()["message"]
    assert message.startswith("Property values were not valid: ")
    found: list[dict[str, Any]] = json.loads(message.partition(": ")[2])
    return found


@pytest.mark.parametrize("root", [ROOT, DATED])
async def test_a_contact_is_made_read_changed_and_archived(api: Any, root: str) -> None:
    made = await api.post(root, json={"properties": {"email": "Ada@Example.com", "firstname": "Ada"}})
    assert made.status_code == 201
    told = made.json()
    assert told["properties"]["email"] == "ada@example.com"
    assert told["createdAt"] == told["properties"]["createdate"] == "2026-03-10T12:00:00.000Z"
    assert told["archived"] is False
    read = (await api.get(f"{root}/ADA@example.com", params={"idProperty": "email"})).json()
    assert read["id"] == told["id"] == read["properties"]["hs_object_id"]
    assert set(read["properties"]) == {
        "createdate",
        "email",
        "firstname",
        "hs_object_id",
        "lastmodifieddate",
        "lastname",
    }
    assert read["properties"]["lastname"] is None
    changed = await api.patch(f"{root}/{told['id']}", json={"properties": {"firstname": "", "phone": "+49"}})
    assert changed.json()["properties"] | {"firstname": "", "phone": "+49"} == changed.json()["properties"]
    cleared = (await api.get(f"{root}/{told['id']}?properties=firstname,city")).json()["properties"]
    assert (cleared["firstname"], cleared["city"]) == ("", None)
    assert [(await api.delete(f"{root}/{told['id']}")).status_code for _ in range(2)] == [204, 204]
    gone = await api.get(f"{root}/{told['id']}")
    assert (gone.status_code, gone.json()["message"]) == (404, "resource not found")
    assert "category" not in gone.json()
    binned = (await api.get(f"{root}/{told['id']}?archived=true")).json()
    assert binned["archived"] is True
    assert binned["archivedAt"]


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("points", "12.0", "12"),
        ("points", "+1.50", "1.5"),
        ("points", "1e3", "1000"),
        ("points", "-0", "0"),
        ("points", "9007199254740993", "9007199254740993"),
        ("born", "1990-05-17", "1990-05-17"),
        ("born", "642902400000", "1990-05-17"),
        ("seen", "2026-03-10T12:00:00+01:00", "2026-03-10T11:00:00.000Z"),
        ("seen", "1773140400000", "2026-03-10T11:00:00.000Z"),
        ("tier", "gold", "gold"),
        ("interests", "a;b;a", "a;b"),
        ("member", "True", "true"),
        ("points", "", ""),
    ],
)
async def test_values_come_back_in_hubspots_own_form(
    simulated: HubSpotSimulator, api: Any, name: str, given: str, kept: str
) -> None:
    custom(simulated)
    id_ = simulated.add(email="a@example.com", points="7")
    assert (await api.patch(f"{ROOT}/{id_}", json={"properties": {name: given}})).status_code == 200
    assert simulated.contact(id_).get(name) == kept


@pytest.mark.parametrize(
    ("name", "given", "code"),
    [
        ("points", "12,5", "INVALID_DOUBLE"),
        ("points", "NaN", "INVALID_DOUBLE"),
        ("points", " 12", "LEADING_TRAILING_WHITESPACE"),
        ("born", "17.05.1990", "INVALID_DATE"),
        ("born", "642902400001", "INVALID_DATE"),
        ("seen", "yesterday", "INVALID_DATE"),
        ("tier", "Gold", "INVALID_OPTION"),
        ("member", "yes", "INVALID_OPTION"),
        ("email", "nobody", "INVALID_EMAIL"),
        ("loyalty", "1", "PROPERTY_DOESNT_EXIST"),
        ("createdate", "2026-01-01", "READ_ONLY_VALUE"),
    ],
)
async def test_what_a_property_does_not_take_is_named(
    simulated: HubSpotSimulator, api: Any, name: str, given: str, code: str
) -> None:
    custom(simulated)
    refused = await api.post(ROOT, json={"properties": {"firstname": "Ada", name: given}})
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")
    ((problem),) = problems(refused)
    assert (problem["name"], problem["error"], problem["isValid"]) == (name, code, False)
    assert simulated.contacts() == []


def custom(portal: HubSpotSimulator) -> None:
    """Some properties of each type."""
    options = [{"label": one, "value": one} for one in ("gold", "silver", "a", "b")]
    for name, type_, field in (
        ("points", "number", "number"),
        ("born", "date", "date"),
        ("seen", "datetime", "date"),
        ("tier", "enumeration", "select"),
        ("interests", "enumeration", "checkbox"),
        ("member", "bool", "booleancheckbox"),
    ):
        told = {"name": name, "label": name, "type": type_, "fieldType": field, "groupName": "contactinformation"}
        portal.schema.add(told | {"options": options if type_ == "enumeration" else []}, 0)


@pytest.mark.parametrize(
    "body", [{"properties": {"firstname": 1}}, {"properties": [1]}, {}, [], "text", {"properties": {"firstname": True}}]
)
async def test_values_that_are_no_texts_are_refused(api: Any, body: Any) -> None:
    refused = await api.post(ROOT, json=body)
    assert refused.status_code == 400
    assert refused.json()["message"].startswith("Invalid input JSON")
    assert (await api.post(ROOT, content=b"{")).status_code == 400


async def test_an_address_belongs_to_one_contact_also_as_an_additional_one(
    simulated: HubSpotSimulator, api: Any
) -> None:
    first = simulated.add(email="a@example.com", hs_additional_emails="B@example.com;c@example.com")
    for address in ("A@example.com", "b@example.com"):
        refused = await api.post(ROOT, json={"properties": {"email": address}})
        assert (refused.status_code, refused.json()["category"]) == (409, "CONFLICT")
        assert refused.json()["message"] == f"Contact already exists. Existing ID: {first}"
    assert (await api.get(f"{ROOT}/c@example.com?idProperty=email")).json()["id"] == first
    other = simulated.add(email="d@example.com")
    assert (await api.patch(f"{ROOT}/{other}", json={"properties": {"email": "c@example.com"}})).status_code == 409
    simulated.delete(first)
    assert (await api.patch(f"{ROOT}/{other}", json={"properties": {"email": "c@example.com"}})).status_code == 200
    with pytest.raises(Refusal, match=f"Existing ID: {other}"):
        simulated.restore(first)


async def test_the_list_is_read_by_cursor_and_may_be_of_the_bin(simulated: HubSpotSimulator, api: Any) -> None:
    ids = [simulated.add(email=f"{number}@example.com") for number in range(25)]
    simulated.delete(ids[3])
    read, after = [], "0"
    for _ in range(4):
        page = (await api.get(ROOT, params={"limit": 8, "after": after, "properties": "email"})).json()
        read += [one["id"] for one in page["results"]]
        after = page.get("paging", {}).get("next", {}).get("after", "")
        if not after:
            break
    assert read == [*ids[:3], *ids[4:]]
    assert [one["id"] for one in (await api.get(f"{ROOT}?archived=true")).json()["results"]] == [ids[3]]
    assert {(await api.get(f"{ROOT}?limit={limit}")).status_code for limit in (0, 101, "x")} == {400}


async def test_merging_makes_a_new_record_that_the_old_numbers_lead_to(simulated: HubSpotSimulator, api: Any) -> None:
    kept = simulated.add(email="a@example.com", firstname="Ada")
    gone = simulated.add(email="b@example.com", firstname="Augusta", city="London")
    answer = await api.post(f"{ROOT}/merge", json={"primaryObjectId": kept, "objectIdToMerge": gone})
    new = answer.json()["id"]
    assert answer.status_code == 200
    assert new not in {kept, gone}
    for id_ in (kept, gone, new):
        read = (await api.get(f"{ROOT}/{id_}?properties=firstname,city,hs_additional_emails")).json()
        assert (read["id"], read["properties"]["firstname"], read["properties"]["city"]) == (new, "Ada", "London")
        assert read["properties"]["hs_additional_emails"] == "b@example.com"
    assert set(simulated.contact(new).get("hs_merged_object_ids").split(";")) == {kept, gone}
    third = simulated.add(email="c@example.com")
    last = simulated.merge(third, gone)
    assert {simulated.contact(id_).id for id_ in (kept, gone, new, third)} == {int(last)}
    assert [str(contact.id) for contact in simulated.contacts()] == [last]
    again = await api.post(f"{ROOT}/merge", json={"primaryObjectId": kept, "objectIdToMerge": gone})
    assert again.status_code == 400


def test_merging_may_keep_the_number_as_it_once_did(clock: FakeClock) -> None:
    portal = HubSpotSimulator(7, PortalPlan(anew=False), clock)
    kept, gone = portal.add(email="a@example.com"), portal.add(email="b@example.com")
    assert portal.merge(kept, gone) == kept
    assert portal.contact(gone).get("hs_additional_emails") == "b@example.com"


async def test_whoever_is_erased_is_gone_and_an_unknown_address_is_blocked(
    simulated: HubSpotSimulator, api: Any
) -> None:
    id_ = simulated.add(email="a@example.com")
    path = f"{ROOT}/gdpr-delete"
    assert (await api.post(path, json={"objectId": "a@example.com", "idProperty": "email"})).status_code == 204
    with pytest.raises(KeyError):
        simulated.contact(id_)
    assert (await api.get(f"{ROOT}/{id_}?archived=true")).status_code == 404
    assert (await api.post(path, json={"objectId": id_})).status_code == 404
    assert (await api.post(path, json={"objectId": "B@example.com", "idProperty": "email"})).status_code == 204
    assert (await api.post(ROOT, json={"properties": {"email": "b@example.com"}})).status_code == 400
    assert simulated.add(email="a@example.com") != id_


async def test_the_history_says_who_wrote_what(simulated: HubSpotSimulator, api: Any) -> None:
    id_ = simulated.add(email="a@example.com", city="Paris")
    await api.patch(f"{ROOT}/{id_}", json={"properties": {"city": "Rome"}})
    read = (await api.get(f"{ROOT}/{id_}?propertiesWithHistory=city")).json()
    told = [(one["value"], one["sourceType"], one["sourceId"]) for one in read["propertiesWithHistory"]["city"]]
    assert told == [("Rome", "INTEGRATION", str(simulated.app_id)), ("Paris", "CRM_UI", "userId:50100001")]


async def test_a_hundred_thousand_contacts_are_listed_as_quickly_as_a_few(
    simulated: HubSpotSimulator, api: Any
) -> None:
    for number in range(100_000):
        simulated.add(email=f"{number}@example.com", firstname="Ada")
    last = simulated.contacts()[-101].id
    began = time.perf_counter()
    page = (await api.get(ROOT, params={"limit": 100, "after": last})).json()
    assert time.perf_counter() - began < 2
    assert len(page["results"]) == 100
    assert "paging" not in page


def test_the_same_seed_is_the_same_portal() -> None:
    first, second = build(3), build(3)
    assert first.settings() == second.settings()
    assert first.add(email="a@example.com") == second.add(email="a@example.com")
    assert build(4).portal_id != first.portal_id
    assert "api_url" not in first.settings()
    assert CALM.api_failures == 0

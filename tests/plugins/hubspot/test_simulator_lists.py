"""Properties, lists, timelines and opt-outs of the simulated portal."""

from __future__ import annotations

from typing import Any

from stampcard_hubspot.simulator import HubSpotSimulator

PROPERTIES = "/crm/v3/properties/contacts"
LISTS = "/crm/v3/lists"
EVENTS = "/crm/v3/timeline/events/batch/create"


def named(name: str, **more: Any) -> dict[str, Any]:
    told = {"name": name, "label": name, "type": "string", "fieldType": "text", "groupName": "contactinformation"}
    return told | more


async def test_properties_and_groups_are_made_once(api: Any) -> None:
    group = {"name": "loyalty", "label": "Loyalty"}
    assert [(await api.post(f"{PROPERTIES}/groups", json=group)).status_code for _ in range(2)] == [201, 409]
    assert (await api.get(f"{PROPERTIES}/groups/loyalty")).json()["label"] == "Loyalty"
    made = await api.post(PROPERTIES, json=named("member_id", groupName="loyalty", hasUniqueValue=True))
    assert (made.status_code, made.json()["hasUniqueValue"]) == (201, True)
    again = await api.post("/crm/properties/2026-03/0-1", json=named("member_id"))
    assert (again.status_code, again.json()["category"]) == (409, "OBJECT_ALREADY_EXISTS")
    assert (await api.get(f"{PROPERTIES}/member_id")).json()["groupName"] == "loyalty"
    assert (await api.get(f"{PROPERTIES}/nothing")).status_code == 404
    assert (await api.get(f"{PROPERTIES}/groups/nothing")).status_code == 404
    assert {"email", "member_id"} <= {one["name"] for one in (await api.get(PROPERTIES)).json()["results"]}
    assert len((await api.get(f"{PROPERTIES}/groups")).json()["results"]) == 2


async def test_unfit_properties_are_refused(api: Any) -> None:
    for unfit in (
        named("Member"),
        named("m", type="text"),
        named("m", fieldType="date"),
        named("m", groupName="nothing"),
        named("m", type="enumeration", fieldType="select"),
        named("m", type="bool", fieldType="booleancheckbox", hasUniqueValue=True),
        {"name": "m"},
    ):
        assert (await api.post(PROPERTIES, json=unfit)).status_code == 400
    made = [(await api.post(PROPERTIES, json=named(f"u{n}", hasUniqueValue=True))).status_code for n in range(11)]
    assert made == [*[201] * 10, 400]


async def test_a_static_list_is_made_found_and_filled(simulated: HubSpotSimulator, api: Any) -> None:
    asked = {"name": "Gold members", "objectTypeId": "0-1", "processingType": "MANUAL"}
    made = (await api.post(f"{LISTS}/", json=asked)).json()["list"]
    refused = await api.post(LISTS, json=asked)
    assert (refused.status_code, refused.json()["subCategory"]) == (400, "ILS.DUPLICATE_LIST_NAMES")
    by_name = await api.get(f"{LISTS}/object-type-id/0-1/name/gold%20members")
    assert by_name.json()["list"] == (await api.get(f"{LISTS}/{made['listId']}")).json()["list"] == made
    assert (await api.get(f"{LISTS}/object-type-id/0-1/name/none")).status_code == 404
    assert (await api.get(f"{LISTS}/99")).status_code == 404
    ids = [simulated.add(email=f"{n}@example.com") for n in range(5)]
    path = f"{LISTS}/{made['listId']}/memberships"
    change = {"recordIdsToAdd": [*ids, "404"], "recordIdsToRemove": []}
    told = (await api.put(f"{path}/add-and-remove", json=change)).json()
    assert told == {"recordsIdsAdded": ids, "recordIdsRemoved": [], "recordIdsMissing": ["404"]}
    assert (await api.put(f"{path}/add-and-remove", json=change)).json()["recordsIdsAdded"] == []
    change = {"recordIdsToAdd": [], "recordIdsToRemove": [ids[0]]}
    assert (await api.put(f"{path}/add-and-remove", json=change)).json()["recordIdsRemoved"] == [ids[0]]
    first = (await api.get(path, params={"limit": 3})).json()
    rest = (await api.get(path, params={"limit": 3, "after": first["paging"]["next"]["after"]})).json()
    assert [one["recordId"] for one in first["results"] + rest["results"]] == ids[1:]
    assert "paging" not in rest
    found = (await api.post(f"{LISTS}/search", json={"query": "gold"})).json()
    assert (found["total"], found["lists"][0]["additionalProperties"]["hs_list_size"]) == (1, "4")
    assert (await api.get(path, params={"limit": 251})).status_code == 400


async def test_a_dynamic_list_lets_nobody_in_by_hand(simulated: HubSpotSimulator, api: Any) -> None:
    dynamic = simulated.people.make_list("Everybody", dynamic=True)
    body = {"recordIdsToAdd": [simulated.add(email="a@example.com")], "recordIdsToRemove": []}
    refused = await api.put(f"{LISTS}/{dynamic}/memberships/add-and-remove", json=body)
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")


async def test_people_fill_lists_too_and_a_merged_contact_stays_in(simulated: HubSpotSimulator) -> None:
    gold = simulated.people.make_list("Gold")
    one, other = simulated.add(email="a@example.com"), simulated.add(email="b@example.com")
    simulated.add_to_list(gold, other)
    new = simulated.merge(one, other)
    assert simulated.people.list_members(gold) == [new]
    simulated.remove_from_list(gold, other)
    assert simulated.people.list_members(gold) == []


def happened(id_: str, contact: str, **more: Any) -> dict[str, Any]:
    return {"eventTemplateId": "77", "id": id_, "objectId": contact, "tokens": {"points": "5"}, **more}


async def test_an_event_stands_on_the_timeline_once(simulated: HubSpotSimulator, api: Any) -> None:
    ada = simulated.add(email="a@example.com")
    at = "2026-03-01T10:00:00.000Z"
    made = await api.post(EVENTS, json={"inputs": [happened("e1", ada, timestamp=at)]})
    assert (made.status_code, made.json()["results"][0]["timestamp"]) == (201, at)
    again = await api.post(EVENTS, json={"inputs": [happened("e1", ada)]})
    assert (again.status_code, again.json()["message"]) == (
        400,
        "Event ID already in use, please choose a new unique ID",
    )
    several = await api.post(EVENTS, json={"inputs": [happened("e1", ada), happened("e2", ada), happened("e3", "9")]})
    body = several.json()
    assert (several.status_code, [one["id"] for one in body["results"]]) == (207, ["e2"])
    assert [error["context"]["id"] for error in body["errors"]] == [["e1"], ["e3"]]
    assert [event.id for event in simulated.timeline_of(ada)] == ["e1", "e2"]
    merged = simulated.merge(simulated.add(email="b@example.com"), ada)
    assert [event.id for event in simulated.timeline_of(merged)] == ["e1", "e2"]
    unfits: list[Any] = [{}, {"inputs": []}, {"inputs": [happened("x", ada)] * 101}, {"inputs": [{"id": "x"}]}]
    for unfit in unfits:
        assert (await api.post(EVENTS, json=unfit)).status_code == 400


async def test_an_opt_out_stays_with_the_address_and_shows_in_a_property(simulated: HubSpotSimulator, api: Any) -> None:
    ada = simulated.add(email="a@example.com")
    path = "/communication-preferences/v4/statuses/A@example.com/unsubscribe-all"
    assert (await api.get(f"{path}?channel=EMAIL")).json()["results"] == []
    assert (await api.post(path)).status_code == 400
    told = (await api.post(f"{path}?channel=EMAIL")).json()["results"]
    assert [(one["status"], one["subscriberIdString"]) for one in told] == [("UNSUBSCRIBED", "a@example.com")]
    assert simulated.contact(ada).get("hs_email_optout") == "true"
    written = await api.patch(f"/crm/v3/objects/contacts/{ada}", json={"properties": {"hs_email_optout": "false"}})
    assert "READ_ONLY_VALUE" in written.json()["message"]
    simulated.people.opt_in(ada)
    assert simulated.contact(ada).get("hs_email_optout") == "false"
    assert (await api.get(f"{path}?channel=EMAIL")).json()["results"] == []
    simulated.people.opt_out(ada)
    assert simulated.contact(ada).get("hs_email_optout") == "true"

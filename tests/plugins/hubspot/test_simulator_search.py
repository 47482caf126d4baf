"""The search of the simulated portal, which is late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from stampcard.testing.clock import FakeClock
from stampcard_hubspot.simulated_hooks import Journey
from stampcard_hubspot.simulated_plan import CALM, PortalPlan
from stampcard_hubspot.simulator import HubSpotSimulator

PATH = "/crm/v3/objects/contacts/search"
POINTS = {"name": "points", "label": "Points", "type": "number", "fieldType": "number"}


@pytest.fixture
def people(simulated: HubSpotSimulator) -> dict[str, str]:
    """Names by number."""
    simulated.schema.add(POINTS | {"groupName": "contactinformation"}, 0)
    told = {"Ada": "9", "Grace": "10", "Edith": ""}
    return {
        simulated.add(email=f"{name}@Example.com", firstname=name, **({"points": points} if points else {})): name
        for name, points in told.items()
    }


def which(name: str, operator: str, *values: str) -> dict[str, Any]:
    told = {"propertyName": name, "operator": operator}
    if operator in {"IN", "NOT_IN"}:
        return told | {"values": list(values)}
    return told | ({"value": values[0]} if values else {})


@pytest.mark.parametrize(
    ("groups", "names"),
    [
        ([[which("email", "EQ", "ADA@example.com")]], ["Ada"]),
        ([[which("points", "EQ", "9.0")]], ["Ada"]),
        ([[which("points", "GT", "9")]], ["Grace"]),
        ([[which("points", "GTE", "9")]], ["Ada", "Grace"]),
        ([[which("points", "LT", "10")]], ["Ada"]),
        ([[which("points", "LTE", "10")]], ["Ada", "Grace"]),
        ([[which("points", "NEQ", "9")]], ["Grace", "Edith"]),
        ([[which("firstname", "IN", "ada", "edith")]], ["Ada", "Edith"]),
        ([[which("points", "HAS_PROPERTY")]], ["Ada", "Grace"]),
        ([[which("points", "NOT_HAS_PROPERTY")]], ["Edith"]),
        ([[which("email", "CONTAINS_TOKEN", "*gra*")]], ["Grace"]),
        ([[which("points", "GT", "1"), which("firstname", "EQ", "ada")]], ["Ada"]),
        ([[which("firstname", "EQ", "ada")], [which("firstname", "EQ", "edith")]], ["Ada", "Edith"]),
        ([[which("createdate", "GTE", "1773144000000")]], ["Ada", "Grace", "Edith"]),
        ([[which("createdate", "GT", "2026-03-10T12:00:00Z")]], []),
        ([], ["Ada", "Grace", "Edith"]),
    ],
)
async def test_filters(api: Any, people: dict[str, str], groups: Any, names: list[str]) -> None:
    asked = {"filterGroups": [{"filters": group} for group in groups], "limit": 10}
    answer = await api.post(PATH, json=asked)
    assert answer.status_code == 200
    assert [people[one["id"]] for one in answer.json()["results"]] == names
    assert answer.json()["total"] == len(names)
    assert "X-HubSpot-RateLimit-Max" not in answer.headers


async def test_pages_and_the_order(simulated: HubSpotSimulator, api: Any, people: dict[str, str]) -> None:
    asked = {"limit": 1, "sorts": [{"propertyName": "points", "direction": "DESCENDING"}], "properties": ["points"]}
    seen: list[str] = []
    while True:
        page = (await api.post(PATH, json=asked)).json()
        seen += [people[one["id"]] for one in page["results"]]
        if "paging" not in page:
            break
        asked["after"] = page["paging"]["next"]["after"]
    assert seen == ["Grace", "Ada", "Edith"]
    assert page["total"] == 3


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 201},
        {"limit": 200, "after": "9900"},
        {"filterGroups": [{"filters": [which("email", "HAS_PROPERTY")]}] * 6},
        {"filterGroups": [{"filters": [which("email", "HAS_PROPERTY")] * 7}]},
        {"filterGroups": [{"filters": [which("email", "HAS_PROPERTY")] * 5}] * 4},
        {"filterGroups": [{"filters": [which("loyalty", "HAS_PROPERTY")]}]},
        {"filterGroups": [{"filters": [which("email", "LIKE", "a")]}]},
        {"filterGroups": [{"filters": [which("email", "EQ")]}]},
        {"sorts": ["email", "city"]},
        [],
    ],
)
async def test_what_goes_too_far_is_refused(api: Any, asked: Any) -> None:
    assert (await api.post(PATH, json=asked)).status_code == 400


@pytest.fixture
async def late(clock: FakeClock) -> AsyncIterator[HubSpotSimulator]:
    plan = PortalPlan(lag=5.0, api_failures=0.0, shared_ids=0.0, journey=Journey())
    portal = HubSpotSimulator(7, plan, clock)
    await portal.start()
    yield portal
    await portal.stop()


async def test_a_change_is_found_only_after_a_while(late: HubSpotSimulator, clock: FakeClock) -> None:
    headers = {"Authorization": f"Bearer {late.access_token}"}

    async def found() -> list[str]:
        async with httpx.AsyncClient(base_url=late.api_url, headers=headers, trust_env=False) as asking:
            results = (await asking.post(PATH, json={"properties": ["city"]})).json()["results"]
        return [one["properties"]["city"] for one in results]

    id_ = late.add(email="a@example.com", city="Rome")
    assert await found() == []
    clock.advance(5)
    assert await found() == ["Rome"]
    late.edit(id_, city="Paris")
    clock.advance(3)
    late.edit(id_, city="Oslo")
    assert await found() == ["Rome"]
    clock.advance(2)
    assert await found() == ["Paris"]
    clock.advance(3)
    assert await found() == ["Oslo"]
    late.forget(id_)
    assert await found() == ["Oslo"]
    clock.advance(5)
    assert await found() == []
    assert CALM.lag == 0

"""HubSpot's official client understands the simulated account, and what the plugin asks for is what that client would ask for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import hubspot
import pytest
from hubspot.crm.contacts import models as contacts
from hubspot.crm.lists import models as lists
from hubspot.crm.properties import models as properties

from stampcard.plugin import ContactPush, Person
from stampcard_hubspot.plugin import connect
from stampcard_hubspot.simulator import HubSpotSimulator

#: What is asked, by method and the end of its address → the official client's model of the body.
BODIES = {
    ("POST", "batch/update"): contacts.BatchInputSimplePublicObjectBatchInput,
    ("POST", "batch/upsert"): contacts.BatchInputSimplePublicObjectBatchInputUpsert,
    ("POST", "batch/read"): contacts.BatchReadInputSimplePublicObjectId,
    ("POST", "batch/archive"): contacts.BatchInputSimplePublicObjectId,
    ("POST", "contacts/search"): contacts.PublicObjectSearchRequest,
    ("POST", "contacts/gdpr-delete"): contacts.PublicGdprDeleteInput,
    ("POST", "contacts/groups"): properties.PropertyGroupCreate,
    ("POST", "properties/contacts"): properties.PropertyCreate,
    ("POST", "v3/lists"): lists.ListCreateRequest,
    ("PUT", "memberships/add-and-remove"): lists.MembershipChangeRequest,
}


def fits(body: Any, model: Any, where: str) -> Iterator[str]:
    """What in a body the official model does not know, and which of its parts are missing."""
    names = {theirs: ours for ours, theirs in model.attribute_map.items()}
    for name, value in body.items():
        if name not in names:
            yield f"{where}.{name} is unknown"
            continue
        kind = model.openapi_types[names[name]]
        inner = kind.removeprefix("list[").removesuffix("]")
        home = next((m for m in (contacts, lists, properties) if hasattr(m, inner)), None)
        if kind.startswith("list[") and home is not None:
            for part in value:
                yield from fits(part, getattr(home, inner), f"{where}.{name}")
        elif kind == "str" and not isinstance(value, str):
            yield f"{where}.{name} is no text"
        elif kind == "dict(str, str)" and not all(isinstance(one, str) for one in value.values()):
            yield f"{where}.{name} holds what is no text"
    try:
        model(**{ours: body.get(theirs) for theirs, ours in names.items()})
    except ValueError as error:
        yield f"{where}: {error}"


@pytest.fixture
def official(portal: HubSpotSimulator) -> Callable[..., Any]:
    """Calls one method of the official client against the simulated account: ``await official("crm.contacts.basic_api", "get_page")``."""

    async def call(path: str, method: str, *given: Any, **named: Any) -> Any:
        client = hubspot.Client.create(access_token=portal.access_token)
        api: Any = client
        for part in path.split("."):
            api = getattr(api, part)
        api.api_client.configuration.host = portal.api_url
        return await asyncio.to_thread(getattr(api, method), *given, **named)

    return call


async def test_the_official_client_reads_writes_and_searches_the_simulated_account(
    portal: HubSpotSimulator, official: Callable[..., Any]
) -> None:
    made = await official(
        "crm.contacts.basic_api",
        "create",
        simple_public_object_input_for_create=contacts.SimplePublicObjectInputForCreate(
            properties={"email": "ada@example.com", "firstname": "Ada"}, associations=[]
        ),
    )
    page = await official("crm.contacts.basic_api", "get_page", limit=10, properties=["email"])
    assert [one.properties["email"] for one in page.results] == ["ada@example.com"]
    found = await official(
        "crm.contacts.search_api",
        "do_search",
        public_object_search_request=contacts.PublicObjectSearchRequest(
            filter_groups=[
                contacts.FilterGroup(
                    filters=[contacts.Filter(property_name="email", operator="EQ", value="ada@example.com")]
                )
            ],
            sorts=[], properties=["firstname"], limit=10, after="0", query=None,
        ),
    )  # fmt: skip
    assert found.total == 1
    done = await official(
        "crm.contacts.batch_api",
        "update",
        batch_input_simple_public_object_batch_input=contacts.BatchInputSimplePublicObjectBatchInput(
            inputs=[contacts.SimplePublicObjectBatchInput(id=made.id, properties={"firstname": "Augusta"})]
        ),
    )
    assert done.results[0].properties["firstname"] == "Augusta"
    known = await official("crm.properties.core_api", "get_all", object_type="contacts")
    assert {"email", "firstname"} <= {one.name for one in known.results}


@asynccontextmanager
async def recorded(seen: list[httpx.Request]) -> AsyncIterator[httpx.AsyncClient]:
    """A client that remembers what it asked."""

    async def remember(request: httpx.Request) -> None:
        await request.aread()
        seen.append(request)

    async with httpx.AsyncClient(trust_env=False, event_hooks={"request": [remember]}) as client:
        yield client


async def test_every_body_that_the_plugin_sends_is_one_that_the_official_client_knows(
    portal: HubSpotSimulator, connection: Callable[..., Any]
) -> None:
    seen: list[httpx.Request] = []
    context = connection(portal.settings())
    async with recorded(seen) as client:
        object.__setattr__(context, "http", client)
        able = (await connect(context)).contacts
        assert able is not None
        await able.prepare(context.settings.pairs(context.settings.defaults))
        known = portal.add(email="bob@example.com")
        await able.write(
            [
                ContactPush(
                    member="m_1", reference="", version=1, fields={"email": "ada@example.com"}, lists={"VIP": True}
                ),
                ContactPush(member="m_2", reference=known, version=1, fields={"loyalty_points": "12.5"}),
            ]
        )
        await able.find(
            [Person(member="m_3", emails=("bob@example.com",)), Person(member="m_4", phones=("+14165550100",))]
        )
        await able.changed(datetime(2026, 1, 1, tzinfo=UTC))
        await able.count()
        await able.remove([known])
        await able.erase([known])
    wrong: list[str] = []
    met = set()
    for request in seen:
        place = (request.method, "/".join(request.url.path.rsplit("/", 2)[-2:]))
        if request.content:
            assert place in BODIES, f"nobody says what the body of {place} is"
            wrong += fits(json.loads(request.content), BODIES[place], place[1])
            met.add(place)
    assert not wrong
    assert met == BODIES.keys()

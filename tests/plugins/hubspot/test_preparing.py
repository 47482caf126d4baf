"""The properties that show a member: made once, and checked."""

from __future__ import annotations

from typing import Any

import pytest

from stampcard.plugin import FieldPair, PluginError
from stampcard_hubspot.calling import CallFailed
from stampcard_hubspot.client import Client
from stampcard_hubspot.preparing import Preparing
from stampcard_hubspot.simulator import HubSpotSimulator


@pytest.fixture
def prepare(connection: Any, portal: HubSpotSimulator) -> Any:
    async def run(**changes: Any) -> list[str]:
        context = connection(portal.settings(), **changes)
        settings = context.settings
        return list(await Preparing(Client(context), settings).prepare(settings.pairs(settings.defaults)))

    return run


async def test_what_is_missing_is_made_in_a_group_of_its_own(prepare: Any, portal: HubSpotSimulator) -> None:
    made = await prepare(property_group="club", property_prefix="club_")
    assert made[0] == "the group club"
    assert "the property club_member_id" in made
    kinds = {name: (one.type, one.field_type, one.unique, one.group) for name, one in portal.schema.properties.items()}
    assert kinds["club_member_id"] == ("string", "text", True, "club")
    assert kinds["club_points"] == ("number", "number", False, "club")
    assert kinds["club_joined_on"] == ("date", "date", False, "club")
    assert portal.schema.properties["club_points"].label == "Loyalty points"


async def test_done_twice_it_makes_nothing(prepare: Any, portal: HubSpotSimulator) -> None:
    await prepare()
    before = dict(portal.schema.properties)
    assert await prepare() == []
    assert portal.schema.properties == before


async def test_what_somebody_else_makes_meanwhile_is_taken(prepare: Any, portal: HubSpotSimulator) -> None:
    portal.fail("/groups", 409)
    portal.schema.groups["loyalty"] = "Loyalty"
    made = await prepare()
    assert "the group loyalty" not in made
    assert "the property loyalty_points" in made


async def test_a_property_of_theirs_that_is_missing_is_named_with_its_setting(prepare: Any, portal: Any) -> None:
    with pytest.raises(PluginError, match=r"no contact property vip_until: name another in fields\.tier_until, or"):
        await prepare(fields={"tier_until": "vip_until"})
    assert "loyalty" not in portal.schema.groups


async def test_one_of_another_type_is_refused_naming_both(prepare: Any, portal: Any) -> None:
    with pytest.raises(PluginError, match=r"property company is of the type string, and points is a number"):
        await prepare(fields={"points": "company"})
    with pytest.raises(
        PluginError, match=r"property firstname is of the type string, and consent\.sms\.marketing is a truth"
    ):
        await prepare(fields={"consent.sms.marketing": "firstname"})


async def test_the_members_id_must_be_unique(prepare: Any) -> None:
    with pytest.raises(PluginError, match=r"property company is not unique, and member_id must be"):
        await prepare(fields={"member_id": "company"})


async def test_what_hubspot_alone_writes_can_only_be_read(prepare: Any) -> None:
    with pytest.raises(PluginError, match=r"HubSpot alone writes createdate: let its owner be theirs"):
        await prepare(fields={"since": {"field": "createdate", "owner": "newest"}})
    assert await prepare(fields={"since": {"field": "createdate", "owner": "theirs"}})


async def test_text_is_read_of_whatever_type(prepare: Any) -> None:
    """A birthday is a text in some accounts and a date in others, an owner is one of a choice."""
    assert await prepare(fields={"since": "createdate"})


async def test_without_the_scope_it_is_named(prepare: Any, portal: HubSpotSimulator) -> None:
    token = portal.new_token(["oauth", "crm.schemas.contacts.read"])
    with pytest.raises(CallFailed, match=r"let the app have crm\.schemas\.contacts\.write"):
        await prepare(access_token=token)


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("text", ("string", "text", ())),
        ("number", ("number", "number", ())),
        ("date", ("date", "date", ())),
        ("moment", ("datetime", "date", ())),
        ("truth", ("bool", "booleancheckbox", ("true", "false"))),
    ],
)
async def test_each_kind_of_field_is_made_as_one_of_hubspots(
    connection: Any, portal: HubSpotSimulator, kind: Any, made: tuple[str, str, tuple[str, ...]]
) -> None:
    context = connection(portal.settings())
    pair = FieldPair(ours="x", theirs="loyalty_x", owner="ours", kind=kind, made=True, label="X")
    preparing = Preparing(Client(context), context.settings)
    assert await preparing.prepare([pair]) == ["the group loyalty", "the property loyalty_x"]
    assert await preparing.prepare([pair]) == []
    known = portal.schema.properties["loyalty_x"]
    assert (known.type, known.field_type, known.options) == made

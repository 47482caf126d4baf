"""A shop and HubSpot accounts at once: what is earned shows in both CRMs, edits flow as the maps say, and nothing loops."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from sqlalchemy import select

from stampcard.applying.linking import take_back
from stampcard.applying.merging import merge
from stampcard.applying.redeeming import handle, redeem
from stampcard.applying.unit import Unit
from stampcard.cli.syncing import supposing
from stampcard.engine.rewarding import Asking
from stampcard.plugin import Delivered
from stampcard.settings import SecuritySettings, Settings
from stampcard.storage.contacts import count_contacts, disputes_before
from stampcard.storage.depths import load_depths
from stampcard.storage.loading import load_identities, load_members
from stampcard.storage.sweeping import begin_sweep, load_sweep
from stampcard.storage.tables import consent, contact, identity, member, segment_member
from stampcard.testing.demonstration import CONNECTION, Demonstration
from stampcard.testing.simulator import SignedRequest
from stampcard.testing.waiting import eventually
from stampcard_hubspot.contacts import HubSpotContacts
from stampcard_hubspot.simulated_plan import CALM
from stampcard_hubspot.simulator import HubSpotSimulator
from stampcard_shopify.simulated_shopping import ShopPlan
from stampcard_shopify.simulator import ShopifySimulator

#: What the settings of an account say beside what reaches it, or what makes them of it.
Account = dict[str, Any] | Callable[[HubSpotSimulator], dict[str, Any]]
Demonstrating = Callable[..., AbstractAsyncContextManager[Demonstration]]
Post = Callable[[str, SignedRequest], Awaitable[aiohttp.ClientResponse]]
PROGRAM = """
program: club
currency: USD
timezone: America/Toronto
wallets: {points: {}}
attributes: {favourite: string}
tiers:
  by: points
  within: ever
  levels: {silver: 0, gold: 100}
segments:
  germans: {when: member.attributes.country == "DE"}
  fans: {}
rules:
  - {id: buy, on: purchase, award: 1 per 1 USD}
rewards:
  mug: {gives: merchandise, price: 200}
"""


class Scene:
    """One shop and two accounts of HubSpot, before one installation."""

    def __init__(
        self, demonstration: Demonstration, shop: ShopifySimulator, post: Post, **portals: HubSpotSimulator
    ) -> None:
        self.demonstration, self.shop, self._post, self.portals = demonstration, shop, post, portals
        self.application = demonstration.application
        self._at = 0

    async def begins(self, name: str) -> datetime:
        """Have the contacts of a CRM looked through; answers when that began."""
        application = self.application
        began = application.clock.now()
        await application.database.write(lambda c: begin_sweep(c, "main", name, "sync", began))

        async def ended() -> bool:
            sweep = await application.database.read(lambda c: load_sweep(c, "main", name, "sync"))
            return sweep is not None and sweep.ended_at is not None

        await eventually(f"the contacts of {name} are looked through", ended)
        return began

    async def tell(self, topic: str, body: Any) -> None:
        """A webhook of the shop."""
        self._at += 1
        secrets = self.shop.settings()["webhook_secrets"]
        assert isinstance(secrets, list)
        raw = json.dumps(body).encode()
        signature = base64.b64encode(hmac.digest(secrets[0].encode(), raw, hashlib.sha256)).decode()
        headers = {
            "X-Shopify-Topic": topic,
            "X-Shopify-Shop-Domain": str(self.shop.settings()["shop"]),
            "X-Shopify-Webhook-Id": f"{topic}:{self._at}",
            "X-Shopify-Hmac-Sha256": signature,
        }
        answer = await self._post(self.demonstration.target, SignedRequest(headers=headers, body=raw))
        assert answer.status == 200

    async def joins(self, who: int, email: str, **more: Any) -> None:
        at = self.application.clock.now().isoformat()
        person = {"id": who, "created_at": at, "updated_at": at, "email": email, "verified_email": True}
        await self.tell("customers/update", {**person, **more})

    async def buys(self, who: int, order: int, amount: int) -> None:
        at = self.application.clock.now().isoformat()
        line = {"id": 1, "quantity": 1, "price": f"{amount}.00", "total_discount": "0.00"}
        await self.tell(
            "orders/paid",
            {"id": order, "created_at": at, "updated_at": at, "currency": "USD", "total_price": f"{amount}.00",
             "financial_status": "paid", "line_items": [line], "customer": {"id": who}},
        )  # fmt: skip

    async def shows(self, portal: HubSpotSimulator, email: str, **expected: str) -> None:
        """Wait until a contact shows all of this."""

        async def is_shown() -> bool:
            found = [one for one in portal.contacts() if one.get("email") == email and not one.archived]
            return len(found) == 1 and all(found[0].get(name) == text for name, text in expected.items())

        await eventually(f"{email} shows {expected}", is_shown)

    async def attributes(self, reference: str) -> dict[str, Any]:
        """What is known of a customer of the shop."""
        setting = self.application.setting

        def work(connection: Any) -> dict[str, Any]:
            of = connection.execute(
                select(identity.c.member).where(identity.c.connection == CONNECTION, identity.c.reference == reference)
            ).scalar()
            found = load_members(connection, setting.merchant, [of], setting.sealer, attributes=True, lock=False)
            return dict(found[of].attributes)

        return await self.application.database.read(work)


@pytest.fixture
def scene(demonstrate: Demonstrating, post: Post) -> Callable[..., AbstractAsyncContextManager[Scene]]:
    @asynccontextmanager
    async def make(*, database: str = "", begun: bool = True, **accounts: Account) -> AsyncIterator[Scene]:
        shop = ShopifySimulator(7, ShopPlan(api_failures=0.0))
        portals = {name: HubSpotSimulator(number, CALM) for number, name in enumerate(accounts, 1)}
        for portal in portals.values():
            await portal.start()
        told = {name: one(portals[name]) if callable(one) else one for name, one in accounts.items()}

        def adapt(settings: Settings) -> Settings:
            hosts = tuple(urlsplit(one.api_url).netloc for one in (shop, *portals.values()))
            connections = {
                name: {"plugin": "hubspot", **portal.settings(), **told[name]} for name, portal in portals.items()
            }
            return settings.model_copy(
                update={
                    "security": SecuritySettings(outbound_allow=hosts),
                    "connections": {**settings.connections, **connections},
                }
            )

        try:
            async with demonstrate(shop, PROGRAM, adapt=adapt, database=database) as demonstration:
                for name, portal in portals.items():
                    portal.tell_to(
                        f"http://127.0.0.1:0/webhooks/{name}", route=f"{demonstration.address}/webhooks/{name}"
                    )
                now = Scene(demonstration, shop, post, **portals)
                for name in portals if begun else ():
                    await now.begins(name)
                yield now
        finally:
            for portal in portals.values():
                await portal.stop()

    return make


async def test_a_purchase_reaches_both_crms(scene: Callable[..., AbstractAsyncContextManager[Scene]]) -> None:
    async with scene(sales={}, support={}) as now:
        sales, support = now.portals["sales"], now.portals["support"]
        sales.add(email="ada@example.com", firstname="Ada")
        await now.joins(1, "ada@example.com", first_name="Ada", last_name="Lovelace")
        await now.buys(1, 11, 120)

        for portal in (sales, support):
            await now.shows(
                portal, "ada@example.com", loyalty_points="120", loyalty_tier="gold", loyalty_lifetime_value="120",
                loyalty_orders="1", loyalty_next_reward="mug", loyalty_next_reward_missing="80", lastname="Lovelace",
            )  # fmt: skip
        await now.buys(1, 12, 30)
        for portal in (sales, support):
            await now.shows(portal, "ada@example.com", loyalty_points="150")

        rows = await now.application.database.read(lambda connection: connection.execute(select(contact)).all())
        assert sorted((row.connection, row.state, row.made) for row in rows) == [
            ("sales", "linked", ""),
            ("support", "linked", "there"),
        ]


async def test_an_edit_reaches_the_other_crm_only_if_the_map_says_so(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    taught = {"fields": {"first_name": {"field": "firstname", "owner": "ours"}, "favourite": "jobtitle"}}
    async with scene(sales={"fields": {"favourite": "jobtitle"}}, support=taught) as now:
        sales, support = now.portals["sales"], now.portals["support"]
        await now.joins(1, "ada@example.com", first_name="Ada")
        await now.shows(sales, "ada@example.com", firstname="Ada", loyalty_points="0")
        await now.shows(support, "ada@example.com", firstname="Ada", loyalty_points="0")
        (here,), (there,) = sales.contacts(), support.contacts()

        sales.edit(str(here.id), firstname="Augusta", country="DE", jobtitle="tea")

        async def is_known() -> bool:
            found = await now.attributes("1")
            return (found.get("first_name"), found.get("country"), found.get("favourite")) == ("Augusta", "DE", "tea")

        await eventually("the member is called as in the CRM", is_known)
        await now.shows(support, "ada@example.com", firstname="Augusta")
        assert await now.demonstration.settled(30)
        # Country and favourite belong to each CRM: what the other says is not written over what it has.
        assert support.contact(str(there.id)).get("country") in {"", None}

        # What is ours is put right where somebody changes it, and the conflict can be read.
        support.edit(str(there.id), firstname="Bob", loyalty_points="9999")
        await now.shows(support, "ada@example.com", firstname="Augusta", loyalty_points="0")
        setting = now.application.setting
        found = await now.application.database.read(
            lambda connection: disputes_before(connection, setting.merchant, setting.sealer, "support", "", None, 10)
        )
        assert sorted((one.field, one.ours, one.theirs, one.rule, one.kept) for one in found) == [
            ("first_name", "Augusta", "Bob", "ours", "ours"),
            ("points", "0", "9999", "ours", "ours"),
        ]


async def test_a_crm_holds_a_member_and_lets_them_go(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    async with scene(sales={"fields": {"hold": "jobtitle"}}) as now:
        sales = now.portals["sales"]
        await now.joins(1, "ada@example.com")
        await now.shows(sales, "ada@example.com", loyalty_points="0")
        (contact_,) = sales.contacts()

        async def held() -> str:
            rows = await now.application.database.read(lambda c: c.execute(select(member.c.held_for)).all())
            return rows[0].held_for or ""

        async def is_held() -> bool:
            return await held() == "sales: suspected fraud"

        async def goes_on() -> bool:
            return not await held()

        sales.edit(str(contact_.id), jobtitle="suspected fraud")
        await eventually("the member is on hold", is_held)
        sales.edit(str(contact_.id), jobtitle="")
        await eventually("the member goes on", goes_on)


async def test_an_opt_out_there_withdraws_the_consent_here_and_the_other_way_round(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    async with scene(sales={}) as now:
        sales = now.portals["sales"]
        await now.joins(1, "ada@example.com")
        await now.joins(2, "bob@example.com")
        for name in ("ada", "bob"):
            await now.shows(sales, f"{name}@example.com", loyalty_points="0")
        ids = {one.get("email"): str(one.id) for one in sales.contacts()}
        sales.people.opt_out(ids["ada@example.com"])

        async def says_no() -> bool:
            rows = await now.application.database.read(lambda c: c.execute(select(consent.c.state)).scalars().all())
            return list(rows) == ["withdrawn"]

        await eventually("the consent is withdrawn", says_no)


async def test_random_edits_on_all_sides_converge_and_call_no_more_often_than_there_were_edits(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    newest = {"fields": {"first_name": {"field": "firstname", "owner": "newest"}}}
    chance = random.Random(11)
    async with scene(sales=newest, support=newest) as now:
        portals = list(now.portals.values())
        people = {who: f"{who}@example.com" for who in range(1, 9)}
        for who, email in people.items():
            await now.joins(who, email, first_name="Nobody")
        for portal in portals:
            for email in people.values():
                await now.shows(portal, email, firstname="Nobody", loyalty_points="0")
        assert await now.demonstration.settled(30)
        ids = {portal.portal_id: {one.get("email"): str(one.id) for one in portal.contacts()} for portal in portals}
        before = [len(portal.calls) for portal in portals]
        edits = 60
        bought = await edited(now, chance, people, ids, edits)

        async def agree() -> bool:
            known = {who: (await now.attributes(str(who)))["first_name"] for who in people}
            expected = {(who, portal): (known[who], str(bought[who])) for who in people for portal in portals}
            shown = {place: shown_at(place[1], ids, people[place[0]]) for place in expected}
            return shown == expected

        await eventually("all sides agree", agree)
        assert await now.demonstration.settled(30)
        assert await agree()
        for portal, calls in zip(portals, before, strict=True):
            made = [one for one in portal.calls[calls:] if "search" not in one.path]
            written = sum(one.inputs for one in made if one.path.endswith("batch/update"))
            read = sum(one.inputs for one in made if one.path.endswith("batch/read"))
            assert written <= 2 * edits, f"{written} contacts written for {edits} edits"
            assert read <= 2 * edits, f"{read} contacts read for {edits} edits"
            assert len(made) <= 2 * edits
        quiet = [len(portal.calls) for portal in portals]
        await asyncio.sleep(2)
        assert [len(portal.calls) for portal in portals] == quiet, "nothing is said when nothing happens"


async def test_a_crm_that_deletes_restores_merges_and_forgets_is_followed(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    async with scene(sales={}) as now:
        sales = now.portals["sales"]
        for who, name in enumerate(("ada", "bob", "cleo"), 1):
            await now.joins(who, f"{name}@example.com")
            await now.buys(who, who + 100, 10 * who)
            await now.shows(sales, f"{name}@example.com", loyalty_points=str(10 * who))
        ids = {one.get("email"): str(one.id) for one in sales.contacts()}

        async def states() -> dict[str, str]:
            rows = await now.application.database.read(lambda c: c.execute(select(contact)).all())
            return {row.reference: row.state for row in rows}

        # Put away: the member stays, and no other contact is made for them; back again: it shows what is new.
        ada = ids["ada@example.com"]
        sales.delete(ada)

        async def is_gone() -> bool:
            return (await states()).get(ada) == "gone"

        await eventually("the contact is gone", is_gone)
        await now.buys(1, 201, 5)
        assert await now.demonstration.settled(30)
        assert len([one for one in sales.contacts() if not one.archived]) == 2
        sales.restore(ada)
        await now.shows(sales, "ada@example.com", loyalty_points="15")

        # Merged there: the members are one, and have everything.
        sales.merge(ids["bob@example.com"], ids["cleo@example.com"])
        await now.shows(sales, "bob@example.com", loyalty_points="50")

        # Forgotten there: forgotten here.
        sales.forget(ada)

        async def is_erased() -> bool:
            rows = await now.application.database.read(
                lambda c: c.execute(select(member.c.erased_at, member.c.attributes_sealed)).all()
            )
            return [row.attributes_sealed for row in rows if row.erased_at is not None] == [None]

        await eventually("the person is forgotten", is_erased)
        assert await now.demonstration.settled(30)
        depths = await now.application.database.read(lambda c: load_depths(c, "main"))
        assert (depths.quarantined, depths.dead.get("sales", 0)) == (0, 0)


async def test_a_first_look_matches_makes_and_can_be_tried_and_taken_back(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    only = {"make_members": True, "only": [{"field": "lifecyclestage", "is": "customer"}]}
    async with scene(begun=False, sales=only) as now:
        sales, application = now.portals["sales"], now.application
        for who in range(1, 41):
            await now.joins(who, f"member{who}@example.com", first_name=f"Member {who}")
        for who in range(1, 21):  # 20 are there already
            sales.add(email=f"member{who}@example.com", lifecyclestage="customer")
        sales.add(email="else@example.com", lifecyclestage="customer")
        for who in range(5):
            sales.add(email=f"lead{who}@example.com", lifecyclestage="lead")
        assert await now.demonstration.settled(30)
        assert len(sales.contacts()) == 26, "nothing is made before anybody looked"

        supposed = await supposing(application, "sales")
        assert supposed.outcomes == {"would be linked": 20, "would become a member": 1, "skipped: excluded": 5}
        assert (supposed.to_make, supposed.written["first_name"]) == (20, 20)

        began = await now.begins("sales")
        counted = await application.database.read(lambda c: count_contacts(c, "main", "sales"))
        assert counted == {
            ("linked", "", ""): 20,
            ("linked", "", "there"): 20,
            ("linked", "", "here"): 1,
            ("skipped", "excluded", ""): 5,
        }
        await now.shows(sales, "member40@example.com", firstname="Member 40", loyalty_points="0")
        assert len(sales.contacts()) == 46

        # Taken back: what was made goes, whatever was there before stays.
        sweep = await application.database.read(lambda c: load_sweep(c, "main", "sales", "sync"))
        assert sweep is not None
        assert sweep.ended_at is not None
        await application.refresh()
        setting, until = application.setting, sweep.ended_at
        done = await application.database.write(
            lambda c: take_back(c, setting, application.clock.now(), "sales", began, until, 100)
        )
        assert (done.there, done.here) == (20, 1)

        async def are_put_away() -> bool:
            return sum(not one.archived for one in sales.contacts()) == 26

        await eventually("the made contacts are put away", are_put_away)
        assert await now.demonstration.settled(30)
        assert sum(not one.archived for one in sales.contacts()) == 26, "none is made again by itself"


def shown_at(portal: HubSpotSimulator, ids: dict[int, dict[str, str]], email: str) -> tuple[str | None, str | None]:
    """What an account shows of somebody's name and points."""
    one = portal.contact(ids[portal.portal_id][email])
    return one.get("firstname"), one.get("loyalty_points")


async def edited(
    now: Scene, chance: random.Random, people: dict[int, str], ids: dict[int, dict[str, str]], edits: int
) -> dict[int, int]:
    """So many edits on any side, some at once; answers for how much everybody bought."""
    bought, portals = dict.fromkeys(people, 0), list(now.portals.values())
    for edit in range(edits):
        who, name = chance.choice(list(people)), f"Name {edit}"
        match chance.choice(("here", "there", "points")):
            case "here":
                await now.joins(who, people[who], first_name=name)
            case "there":
                portal = chance.choice(portals)
                portal.edit(ids[portal.portal_id][people[who]], firstname=name)
            case _:
                bought[who] += 10
                await now.buys(who, 1000 + edit, 10)
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() / 4)
    return bought


async def test_segments_and_lists_follow_each_other(
    scene: Callable[..., AbstractAsyncContextManager[Scene]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stampcard.inbox.polling.LISTS", timedelta(seconds=0.2))
    monkeypatch.setattr(HubSpotContacts, "every", timedelta(seconds=0.2))
    made: dict[str, str] = {}

    def prepared(portal: HubSpotSimulator) -> dict[str, Any]:
        """People and lists that are there before us; Ada is a fan already."""
        made.update({name: portal.people.make_list(name) for name in ("fans", "thieves")})
        made.update({name: portal.add(email=f"{name}@example.com") for name in ("ada", "bob")})
        portal.add_to_list(made["fans"], made["ada"])
        lists = {"lists": {"germans": "Stampcard Germans"}, "segments": {"fans": made["fans"]}}
        return {**lists, "hold_lists": [made["thieves"]]}

    async with scene(begun=False, sales=prepared) as now:
        sales, application = now.portals["sales"], now.application
        ada, bob, fans, thieves = made["ada"], made["bob"], made["fans"], made["thieves"]
        for who, name in enumerate(("ada", "bob"), 1):
            await now.joins(who, f"{name}@example.com")
        assert await now.demonstration.settled(30)
        await now.begins("sales")

        async def fans_are(*expected: str) -> bool:
            rows = await application.database.read(
                lambda c: c.execute(
                    select(identity.c.reference)
                    .join(segment_member, segment_member.c.member == identity.c.member)
                    .where(identity.c.connection == CONNECTION, segment_member.c.segment == "fans")
                ).scalars().all()
            )  # fmt: skip
            return sorted(rows) == sorted(expected)

        await eventually("Ada is a fan", lambda: fans_are("1"))
        sales.add_to_list(fans, bob)
        sales.remove_from_list(fans, ada)
        await eventually("Bob is a fan, and Ada is no more", lambda: fans_are("2"))

        sales.edit(ada, country="Germany")

        async def are_listed(*expected: str) -> bool:
            found = sales.lists.named("Stampcard Germans")
            return found is not None and sorted(map(str, sales.lists.members(found))) == sorted(expected)

        await eventually("Ada is in the list of Germans", lambda: are_listed(ada))
        sales.edit(ada, country="France")
        await eventually("Ada is in the list of Germans no more", are_listed)

        async def reasons() -> list[str]:
            rows = await application.database.read(lambda c: c.execute(select(member.c.held_for)).scalars().all())
            return sorted(row for row in rows if row)

        async def are_held(*expected: str) -> bool:
            return await reasons() == list(expected)

        sales.add_to_list(thieves, bob)
        await eventually("Bob is on hold", lambda: are_held(f"sales: is in the list {thieves}"))
        sales.remove_from_list(thieves, bob)
        await eventually("Bob goes on", are_held)


async def test_a_reward_shows_in_the_fields_and_on_the_timeline(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    async with scene(sales={"timeline_template": "1001298"}) as now:
        sales, application = now.portals["sales"], now.application
        await now.joins(1, "ada@example.com")
        await now.buys(1, 11, 250)
        await now.shows(sales, "ada@example.com", loyalty_points="250", loyalty_next_reward="")
        assert await now.demonstration.settled(30)
        (one,) = sales.contacts()

        def take(connection: Any) -> None:
            unit = Unit(connection, application.setting, application.clock.now())
            row = load_identities(connection, "main", [(CONNECTION, "1")])[CONNECTION, "1"]
            taken = redeem(unit, row.member, "mug", "", Asking())
            unit.save()
            again = Unit(connection, application.setting, application.clock.now())
            handle(again, taken.id, "done", "")
            again.save()

        await application.database.write(take)
        await now.shows(
            sales, "ada@example.com", loyalty_points="50", loyalty_rewards="1", loyalty_next_reward="mug",
            loyalty_next_reward_missing="150",
        )  # fmt: skip

        async def is_told() -> bool:
            return [event.tokens["status"] for event in sales.timeline_of(str(one.id))] == ["used"]

        await eventually("the timeline tells of it", is_told)


async def test_members_who_become_one_here_keep_both_contacts_and_whoever_is_erased_here_is_forgotten_there(
    scene: Callable[..., AbstractAsyncContextManager[Scene]],
) -> None:
    async with scene(sales={"erase_contacts": True}) as now:
        sales, application = now.portals["sales"], now.application
        for who, name in enumerate(("ada", "bob"), 1):
            await now.joins(who, f"{name}@example.com")
            await now.buys(who, 10 + who, 10 * who)
            await now.shows(sales, f"{name}@example.com", loyalty_points=str(10 * who))

        def become_one(connection: Any) -> None:
            found = load_identities(connection, "main", [(CONNECTION, "1"), (CONNECTION, "2")])
            unit = Unit(connection, application.setting, application.clock.now())
            merge(unit, found[CONNECTION, "2"].member, found[CONNECTION, "1"].member, by="test")
            unit.save()

        await application.database.write(become_one)
        for name in ("ada", "bob"):
            await now.shows(sales, f"{name}@example.com", loyalty_points="30")
        assert await now.demonstration.settled(30)
        named = [one.get("loyalty_member_id") for one in sales.contacts()]
        assert sum(map(bool, named)) == 1, "one of them says who it is"

        await now.tell(
            "customers/redact",
            {"customer": {"id": 1}, "orders_to_redact": [], "shop_domain": str(now.shop.settings()["shop"])},
        )

        async def are_forgotten() -> bool:
            return not [one for one in sales.contacts() if not one.archived]

        await eventually("both contacts are forgotten", are_forgotten)
        rows = await application.database.read(lambda c: c.execute(select(contact)).all())
        assert not rows


async def test_whoever_removes_a_crm_is_told_what_goes_and_what_stays(
    scene: Callable[..., AbstractAsyncContextManager[Scene]], tmp_path: Path
) -> None:
    async with scene(sales={}) as now:
        sales = now.portals["sales"]
        await now.joins(1, "ada@example.com")
        await now.shows(sales, "ada@example.com", loyalty_points="0")
        able = now.application.connections["sales"].capabilities
        assert able is not None
        assert able.clean is not None
        (one,) = sales.contacts()
        assert [type(outcome) for outcome in await able.clean.clean([str(one.id)])] == [Delivered]
        assert not sales.contact(str(one.id)).get("loyalty_points")
        assert "loyalty_" in able.clean.what

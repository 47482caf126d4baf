"""One flow of each published program through deliveries, the timer and requests, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.core.inbox.test_caps import code
from tests.core.inbox.test_perks import having, tags, use
from tests.core.inbox.test_plans import stands
from tests.core.inbox.test_proofs import does
from tests.core.shops import Shop
from tests.databases import on_sqlite

from stampcard.applying import joining, verifying
from stampcard.applying.evaluating import Cart, evaluate_cart
from stampcard.applying.redeeming import redeem
from stampcard.applying.requests import Answer, answer
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.events import CustomerSeen, CustomEvent
from stampcard.domain.orders import OrderLine
from stampcard.domain.tiers import Tier
from stampcard.engine.rewarding import Asking
from stampcard.program.reading import read_program
from stampcard.storage.database import Database
from stampcard.storage.reading import balances
from stampcard.storage.tiering import load_tiers
from stampcard.testing.building import order

PUBLISHED = Path(__file__).parents[3] / "config" / "programs" / "published"


class Chain(Shop):
    """A shop with a published program, whose timer sleeps until the day that matters."""

    def __init__(self, database: Database, setting: Setting, name: str) -> None:
        text = (PUBLISHED / f"{name}.yaml").read_text()
        self.program = read_program(text, name)
        super().__init__(database, setting, text)

    async def at(self, moment: str) -> Chain:
        there = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(self.program.timezone))
        self.clock.advance(there.astimezone(UTC) - self.clock.now())
        await self.timer.tick()
        return self

    def tier(self, customer: str = "ann") -> Tier:
        id_ = self.member(customer)
        known = self.database.read_now(lambda c: load_tiers(c, "main", [id_])).get(id_, {})
        return known.get(self.program.program) or Tier(program=self.program.program, name="", since=self.clock.now())

    def has(self, wallet: str, customer: str = "ann") -> int:
        id_ = self.member(customer)
        found = self.database.read_now(lambda c: balances(c, "main", [id_], self.setting.programs, self.clock.now()))
        return found[id_][wallet].active

    def takes(self, reward: str, customer: str = "ann") -> None:
        member, now = self.member(customer), self.clock.now()

        def work(unit: Unit) -> Answer:
            redeem(unit, member, reward, self.program.program, Asking())
            return Answer(status=201, body={})

        self.database.write_now(lambda c: answer(c, self.setting, None, now, work))

    def pays(self, reference: str, *amounts: Any, **more: Any) -> None:
        self.buys(reference, *amounts, currency="USD", **more)


@on_sqlite
async def test_a_coffee_drinker_rises_to_gold_and_all_her_stars_live_as_long_as_that(
    database: Database, setting: Setting
) -> None:
    chain = Chain(database, setting, "coffee-stars")
    await chain.at("2026-04-13T08:00")  # a Monday
    chain.pays("A", "500.00")
    chain.pays("B", "10.00")
    assert (chain.tier().name, chain.has("stars")) == ("gold", 512)
    chain.takes("crafted")
    chain.takes("monday-extra")
    assert chain.has("stars") == 312
    await chain.at("2026-10-13T23:00")
    reload = CustomEvent(name="reload", customer="ann", key="r", occurred_at=chain.clock.now(), data={"amount": 50.0})
    chain.tell(reload)
    assert chain.has("stars") == 312 + 25
    await chain.at("2027-04-13T23:59")
    assert (chain.has("stars"), chain.tier().name) == (337, "gold")
    await chain.at("2027-04-14T00:00")  # and for six months from the end of Gold
    assert (chain.has("stars"), chain.tier().name) == (337, "green")
    await chain.at("2027-10-14T23:59")
    assert chain.has("stars") == 337
    await chain.at("2027-10-15T00:00")
    assert chain.has("stars") == 0
    chain.proves()


@on_sqlite
async def test_a_beauty_customer_is_raised_by_goods_alone_and_a_birthday_keeps_her_points_alive(
    database: Database, setting: Setting
) -> None:
    chain = Chain(database, setting, "beauty-points")
    await chain.at("2026-03-31T12:00")
    goods = OrderLine(reference="L1", quantity=1, gross=Decimal("349.99"), tax=Decimal("29.75"))
    chain.pays("A", lines=(goods,), total=Decimal("389.74"), shipping=Decimal(10))
    assert (chain.tier().name, chain.has("points")) == ("member", 349)
    chain.pays("B", "0.01", "250.00")
    assert chain.tier().until == datetime(2028, 1, 1, 5, tzinfo=UTC)
    chain.returns("B", "250.00", "L2")
    assert (chain.tier().name, chain.has("points"), chain.has("spent")) == ("vip", 349, 35000)
    born = CustomerSeen(reference="ann", attributes={"birthday": "1990-03-31"}, occurred_at=chain.clock.now())
    chain.tell(born)
    await chain.at("2027-03-31T12:00")
    chain.takes("birthday-points")
    await chain.at("2028-01-01T00:00")
    assert (chain.tier().name, chain.has("points")) == ("member", 599)
    await chain.at("2028-09-30T23:59")
    assert chain.has("points") == 599
    await chain.at("2028-10-01T00:00")
    assert (chain.has("points"), chain.has("spent")) == (0, 35000)
    chain.proves()


@on_sqlite
async def test_a_traveller_qualifies_on_the_last_day_of_a_year_and_a_ticket_is_capped(
    database: Database, setting: Setting
) -> None:
    chain = Chain(database, setting, "miles-and-status")
    await chain.at("2026-12-31T23:30")

    def fare(amount: Any, tax: Any = 0) -> dict[str, Any]:
        line = OrderLine(
            reference="L1", quantity=1, gross=Decimal(str(amount)), tax=Decimal(str(tax)), tags=("base-fare",)
        )
        return {"lines": (line,), "total": line.gross + line.tax}

    chain.pays("A", **fare("4999.99", tax=450))
    assert (chain.tier().name, chain.has("miles")) == ("", 24_999)
    chain.pays("B", **fare("0.01"))
    assert (chain.tier().name, chain.has("miles")) == ("silver", 24_999)
    await chain.at("2027-06-01T12:00")
    chain.pays("C", **fare(28_000))
    chain.pays("D", **fare(7_000))
    assert (chain.tier().name, chain.has("miles")) == ("diamond", 24_999 + 75_000 + 75_000)
    award = fare(400)
    chain.pays("E", **award, paid_with_points=award["total"])
    chain.returns("D", 1_000)
    assert chain.has("miles") == 24_999 + 75_000 + 64_285  # six sevenths of what the ticket had earned
    await chain.at("2029-01-01T00:00")
    assert (chain.tier().name, chain.has("miles")) == ("", 164_284)
    chain.proves()


def goods(*amounts: Any, sku: str = "", collection: str = "full-price") -> dict[str, Any]:
    """The lines of an order or a cart."""
    lines = tuple(
        OrderLine(reference=f"L{n}", quantity=1, gross=Decimal(str(of)), sku=sku, collections=(collection,))
        for n, of in enumerate(amounts, start=1)
    )
    return {"lines": lines, "total": sum(line.gross for line in lines)}


def off(chain: Chain, amount: Any) -> tuple[Decimal | None, list[str]]:
    """What the discount of professionals takes off a cart, and why it does not count."""
    cart = Cart(
        order=order(currency="USD", **goods(amount)), source="shop", now=chain.clock.now(), member=chain.member()
    )
    (found,) = chain.database.read_now(lambda c: evaluate_cart(c, chain.setting, cart)).rewards
    return found.alone, [refusal.code for refusal in found.refusals]


async def test_a_coach_is_verified_buys_for_five_thousand_dollars_a_year_and_is_revoked(
    database: Database, setting: Setting
) -> None:
    chain = Chain(database, setting, "training-professionals")
    await chain.at("2026-02-02T09:00")
    chain.tell(CustomerSeen(reference="ann", attributes={"country": "US"}, occurred_at=chain.clock.now()))
    assert off(chain, 200)[1] == ["condition"]
    member, paper = chain.member(), {"document": "licence A-123"}
    request = does(chain, verifying.ask, member, "", "coach", paper, by_member=True).request
    assert having(chain) == set()
    does(chain, verifying.decide, request, "Eve", approve=True)
    assert (having(chain), tags(chain), off(chain, 200)) == ({"professional"}, {"professional"}, (Decimal("50.00"), []))
    chain.pays("A", codes=(code(chain, "quarter-off"),), **goods(4900))
    assert off(chain, 200) == (Decimal("25.00"), [])
    await chain.at("2026-12-30T09:00")
    its = code(chain, "quarter-off")
    chain.pays("B", codes=(its,), **goods(200))
    chain.pays("C", codes=("another-promotion",), **goods(80, collection="we-have-too-much"))
    assert "base_used_up" in off(chain, 200)[1]
    chain.returns("B", 200)
    assert off(chain, 200) == (Decimal("25.00"), [])
    await chain.at("2027-01-03T12:00")  # of another year; in a month it ends
    again = does(chain, verifying.ask, member, "", "coach", paper, by_member=True).request
    assert off(chain, 200)[0] == 50
    does(chain, verifying.decide, again, "Eve", approve=False, reason="the club does not know her")
    does(chain, verifying.revoke, member, "", "coach", "the club does not know her")
    assert (having(chain), tags(chain), off(chain, 200)[1]) == (set(), set(), ["condition"])
    chain.proves()


@on_sqlite
async def test_a_club_is_tried_paid_by_the_month_and_refunded_unless_it_was_used(
    database: Database, setting: Setting
) -> None:
    chain = Chain(database, setting, "shipping-club")
    club = {"two-day", "one-day", "same-day"}
    await chain.at("2026-01-10T12:00")
    chain.pays("goods", 20)
    chain.act(lambda unit: Answer(status=201, body={"one": joining.try_plan(unit, chain.member(), "", "monthly").one}))
    assert (having(chain), tags(chain), use(chain, "two-day", "goods")) == (club, club, None)

    def charged(name: str) -> None:
        data = {"product": "CLUB-MONTH", "amount": 14.99}
        chain.tell(CustomEvent(name=name, customer="ann", key=name, occurred_at=chain.clock.now(), data=data))

    await chain.at("2026-02-09T12:00")
    charged("subscription_started")
    await chain.at("2026-03-09T12:00")
    charged("subscription_renewed")
    one = stands(chain, "monthly")
    assert (one.price, one.paid_until) == (Decimal("14.99"), datetime(2026, 4, 10, 7, tzinfo=UTC))
    await chain.at("2026-04-10T00:00")
    assert (stands(chain, "monthly").active, having(chain), tags(chain)) == (False, set(), set())
    chain.pays("year", **goods(139, sku="CLUB-YEAR"))
    await chain.at("2026-04-12T12:00")
    chain.returns("year", 139)
    assert (stands(chain, "yearly").active, having(chain)) == (False, set())
    await chain.at("2026-04-12T18:00")
    chain.pays("again", **goods(139, sku="CLUB-YEAR"))
    use(chain, "one-day", "goods-2")
    await chain.at("2026-04-13T12:00")
    chain.returns("again", 139)
    assert (stands(chain, "yearly").active, having(chain)) == (True, club)
    await chain.at("2027-04-13T00:00")
    assert (stands(chain, "yearly").active, having(chain)) == (False, set())
    chain.proves()

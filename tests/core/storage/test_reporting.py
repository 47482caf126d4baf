"""Every report is what a recount of the rows comes to, whatever happened; a late timer shows nobody another figure."""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from stampcard.applying import merging, redeeming, requests, spending
from stampcard.applying.deliveries import decide_event
from stampcard.applying.resolving import resolve
from stampcard.applying.setting import Setting
from stampcard.applying.settling import settle_due
from stampcard.applying.unit import Sourced, Unit
from stampcard.clock import from_micros
from stampcard.domain.events import OrderSeen, RefundSeen
from stampcard.domain.ledger import ACCOUNTS, MEMBER_ACCOUNTS, EntryKind
from stampcard.domain.tiers import TierMoved
from stampcard.engine.reporting import Told
from stampcard.engine.reports import REPORTS
from stampcard.engine.rewarding import Asking
from stampcard.engine.spanning import Span
from stampcard.errors import RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.reporting import READERS, Question, tell
from stampcard.storage.reports.points import DOWN, EXCHANGE, FLOWS, UP
from stampcard.storage.tables import (
    award,
    debit,
    entry,
    event,
    lot,
    membership,
    order_state,
    redemption,
    tier,
)
from stampcard.testing.building import order, programs, refund

_numbers = itertools.count()
#: The clock in Berlin goes forward on the 29th.
BEGIN = datetime(2026, 3, 27, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEXT = """
program: main
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {expire: 2 days, pending: %s, value: 1 EUR per 80, returned_to_dead_lot: %s, refunds: {policy: %s, spent: proportional}}
  miles: {scale: 2}
tiers: {by: spend, within: calendar year, held: 1 days, levels: {green: 0, gold: 60}}
campaigns: {spring: {}, empty: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR, wallet: points, campaign: spring}
  - {id: more, on: purchase, award: 0.5 per 1 EUR, wallet: points, campaign: spring}
  - {id: fly, on: purchase, award: 0.25 per 1 EUR, wallet: miles, campaign: spring}
  - {id: hello, on: sign_up, award: 15, wallet: points}
rewards:
  own: {gives: 5 EUR off, wallet: points, price: 10, by: own, valid: 2 days, unused: return}
  mug: {gives: merchandise, wallet: points, price: 8}
  swap: {gives: 2 to miles, wallet: points, price: 5}
"""
KINDS = (
    "order",
    "order",
    "refund",
    "spend",
    "cancel",
    "give",
    "take",
    "redeem",
    "use",
    "revoke",
    "wait",
    "wait",
    "timer",
)
steps = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 11)), min_size=8, max_size=16)
texts = st.tuples(
    st.sampled_from(["none", "1 days"]),
    st.sampled_from(["expire", "renew"]),
    st.sampled_from(["only_pending", "within_balance", "unlimited"]),
)


class Shop:
    """One merchant in the database, to whom anything may happen."""

    def __init__(self, database: Database, setting: Setting, text: str) -> None:
        self.database = database
        name = f"reports-{next(_numbers)}"
        self.setting = dataclasses.replace(setting, merchant=name, programs=programs(text))
        self.now = BEGIN
        self.orders: list[str] = []
        self.spends: list[str] = []
        self.taken: list[str] = []
        self.members = [self.join("ann"), self.join("ben")]

    def join(self, who: str) -> str:
        return str(self.work(lambda unit: requests.create_member(unit, ("shop", who), {})))

    def work(self, act: Callable[[Unit], Any]) -> Any:
        def transaction(connection: Connection) -> Any:
            unit = Unit(connection, self.setting, self.now)
            given = act(unit)
            unit.save()
            return given

        return self.database.write_now(transaction)

    def hear(self, event: OrderSeen | RefundSeen) -> None:
        reference = event.reference if isinstance(event, OrderSeen) else event.order

        def work(unit: Unit) -> None:
            sourced = Sourced(event=event, connection="shop", source="shop", received_at=self.now)
            identities = resolve(unit, [sourced])
            unit.lock(self.members, [("shop", reference)], attributes=False, repeated=())
            decide_event(unit, sourced, identities)

        self.work(work)

    def step(self, kind: str, number: int) -> None:  # noqa: C901 - a case for each thing that may happen
        member = self.members[number % 2]
        match kind:
            case "wait":
                self.now += timedelta(hours=2 + 5 * number)
            case "timer":
                self.settle()
            case "order":
                customer = (None, "ann", "ben", "ann")[number % 4]
                currency = "USD" if number == 10 else "EUR"
                # One of them is heard of so late that its points have expired already.
                at = self.now - (timedelta(days=4) if number == 9 else HOUR * number)
                self.orders.append(f"A{next(_numbers)}")
                snapshot = order(7 * number + 9, at=at, customer=customer, currency=currency)
                self.hear(OrderSeen(reference=self.orders[-1], snapshot=snapshot))
            case "refund" if self.orders:
                back = refund(f"R{next(_numbers)}", [("L1", 9)], money=9, at=self.now)
                self.hear(RefundSeen(order=self.orders[number % len(self.orders)], refund=back))
            case "spend":
                key = f"k{next(_numbers)}"
                self.work(lambda unit: spending.spend(unit, member, "points", number + 1, key, ""))
                self.spends.append(key)
            case "cancel" if self.spends:
                self.work(lambda unit: spending.cancel_spend(unit, self.spends.pop(), ""))
            case "give" | "take":
                points = (number + 1) * (1 if kind == "give" else -1)
                key = f"k{next(_numbers)}"
                self.work(lambda unit: requests.adjust(unit, member, "points", points, key, "a gift"))
            case "redeem":
                reward = ("own", "mug", "swap")[number % 3]
                taken = self.work(lambda unit: redeeming.redeem(unit, member, reward, "", Asking()))
                self.taken.append(taken.id)
            case "use" if self.taken:
                self.work(lambda unit: redeeming.use(unit, self.taken[number % len(self.taken)], f"t{number}"))
            case "revoke" if self.taken:
                id_ = self.taken[number % len(self.taken)]
                self.work(lambda unit: redeeming.revoke(unit, id_, "", keep_points=number % 2 > 0))

    def settle(self) -> None:
        self.database.write_now(lambda connection: settle_due(connection, self.setting, self.now, 100))

    def ask(self, report: str, **more: Any) -> Told:
        question = Question(report=report, **more)
        merchant, live = self.setting.merchant, self.setting.programs
        return self.database.read_now(lambda c: tell(c, merchant, live, question, self.now))

    def rows(self, table: Any) -> list[Any]:
        merchant = self.setting.merchant
        return list(
            self.database.read_now(lambda c: c.execute(select(table).where(table.c.merchant == merchant)).all())
        )


class Recount:
    """The reports in plain Python, from every row of the merchant."""

    def __init__(self, shop: Shop, span: Span) -> None:
        self.span = span
        self.entries = sorted(shop.rows(entry), key=lambda row: (row.member, row.wallet, row.number))
        self.orders = [row for row in shop.rows(order_state) if row.spend > 0]
        self.joined = {row.member: self.day(row.joined_at) for row in shop.rows(membership)}
        self.shop = shop

    def day(self, micros: int) -> date:
        return from_micros(micros).astimezone(self.span.zone).date()

    def booked(self, wallet: str) -> list[tuple[date, Any]]:
        found = []
        for _, of in itertools.groupby((one for one in self.entries if one.wallet == wallet), lambda one: one.member):
            latest = 0
            for one in of:
                by_time = one.kind in {"activate", "lapse", "expire"}
                latest = max(latest, one.occurred_at if by_time else one.posted_at)
                found.append((self.day(latest), one))
        return found

    def points(self, wallet: str, first: date, last: date) -> dict[str, int]:
        booked = self.booked(wallet)
        of = [one for day, one in booked if first <= day <= last]
        until = [one for day, one in booked if day <= last]

        def total(account: str, sign: int, keep: Callable[[Any], bool]) -> int:
            return sum(sign * getattr(one, account) for one in of if keep(one))

        return {
            "before": sum(getattr(one, a) for day, one in booked if day < first for a in MEMBER_ACCOUNTS),
            "issued": total("issued", -1, lambda one: one.issued < 0)
            + total("adjusted", -1, lambda one: one.adjusted < 0),
            "adjusted_down": total("adjusted", 1, lambda one: one.adjusted > 0),
            "taken_back": total("issued", 1, lambda one: one.issued > 0),
            "spent": total("redeemed", 1, lambda one: one.redeemed > 0),
            "returned": total("redeemed", -1, lambda one: one.redeemed < 0),
            "expired": total("expired", 1, lambda one: one.expired > 0),
            "expired_taken": total("expired", -1, lambda one: one.expired < 0),
            **{a: sum(getattr(one, a) for one in until) for a in ("pending", "active", "held")},
            "debt": -sum(one.debt for one in until),
        }

    def breakage(self, wallet: str, first: date, last: date) -> dict[str, int]:
        lots = {(row.member, row.number): row for row in self.shop.rows(lot) if row.wallet == wallet}

        def root(row: Any) -> Any:
            return row if row.parent is None else root(lots[row.member, row.parent])

        of = [row for row in lots.values() if first <= self.day(root(row).occurred_at) <= last]
        new = sum(row.amount for row in of if row.parent is None)
        drawn = sum(row.amount - row.remaining - row.expired - row.taken for row in of)
        again = sum(row.amount for row in of if row.parent is not None)
        return {
            "credited": new,
            "taken": sum(row.taken for row in of),
            "expired": sum(row.expired for row in of),
            "open": sum(row.remaining for row in of),
            "used": drawn - again,
        }

    def bought(self, member: str | None, first: date, last: date) -> list[Any]:
        mine = [row for row in self.orders if row.member == member]
        return [row for row in mine if first <= self.day(row.occurred_at) <= last]

    def members(self, first: date, last: date) -> dict[str, int]:
        active = [m for m in self.joined if self.bought(m, first, last)]
        return {
            "joined": sum(first <= day <= last for day in self.joined.values()),
            "members": sum(day <= last for day in self.joined.values()),
            "active": len(active),
            "repeating": sum(len(self.bought(m, date.min, last)) > 1 for m in active),
        }

    def orders_of(self, who: str, currency: str, first: date, last: date) -> tuple[int, Decimal, int | None]:
        def is_member(row: Any) -> bool:
            return row.member in self.joined

        placed = [row for row in self.orders if first <= self.day(row.occurred_at) <= last]
        of = [row for row in placed if row.currency == currency and is_member(row) is (who == "members")]
        firsts = {m: min((r.occurred_at, r.reference) for r in self.orders if r.member == m) for m in self.joined
                  if any(r.member == m for r in self.orders)}  # fmt: skip
        again = sum((row.occurred_at, row.reference) != firsts[row.member] for row in of if row.member in firsts)
        return len(of), sum((Decimal(row.spend) / 10000 for row in of), Decimal(0)), again if who == "members" else None

    def earned(self, keep: Callable[[Any], bool], first: date, last: date) -> dict[str, Any]:
        """What the awards say, where the report asks the entries."""
        placed = {f"order:{row.source}:{row.reference}": row for row in self.shop.rows(order_state)}
        began = {(one.member, one.subject, one.rule): one.occurred_at for one in self.entries if one.revision == 1}
        found, orders, members = Counter[str](), dict[str, Decimal](), set()
        for one in self.shop.rows(award):
            of = placed.get(one.subject)
            at = of.occurred_at if of is not None else began.get((one.member, one.subject, one.rule))
            if at is None or not keep(one) or not one.granted or not first <= self.day(at) <= last:
                continue
            members.add(one.member)
            found.update(granted=one.granted, taken_back=one.taken, written_off=one.written_off)
            if of is not None and of.member == one.member and of.spend:
                orders[one.subject] = Decimal(of.spend) / 10000 if of.currency == "EUR" else Decimal(0)
        return {**found, "orders": len(orders), "members": len(members), "spend": sum(orders.values(), Decimal(0))}


def same(row: dict[str, Any], recounted: dict[str, Any]) -> None:
    assert {name: row[name] for name in recounted} == recounted


def check_ledgers(told: dict[str, Told], recount: Recount) -> None:
    for row in told["points"].rows:
        same(row, recount.points(row["wallet"], row["from"], row["to"]))
        for identity in REPORTS["points"].identities:
            assert row[identity.of] == identity.formula.of(row)
    for row, of in zip(told["liability"].rows, told["points"].rows, strict=True):
        owed = of["pending"] + of["active"] + of["held"]
        assert (row["day"], row["owed"], row["debt"]) == (of["to"], owed, of["debt"])
        worth = (Decimal(owed) / 80).quantize(Decimal("0.01"), "ROUND_HALF_UP")
        assert row["liability"] == (worth if row["wallet"] == "points" else None)
    for row in told["breakage"].rows:
        same(row, recount.breakage(row["wallet"], row["from"], row["to"]))
        assert row["used"] >= 0


def check_people(told: dict[str, Told], recount: Recount) -> None:
    for row in told["members"].rows:
        same(row, recount.members(row["from"], row["to"]))
    for row in told["orders"].rows:
        expected = recount.orders_of(row["who"], row["currency"], row["from"], row["to"])
        assert (row["orders"], row["spend"], row["repeats"]) == expected
    for row in told["cohorts"].rows:
        month = (row["joined"] + timedelta(days=32 * row["month"])).replace(day=1)
        last = (month + timedelta(days=32)).replace(day=1) - timedelta(days=1)
        of = {m for m, day in recount.joined.items() if day.replace(day=1) == row["joined"]}
        bought = {m: recount.bought(m, month, last) for m in of}
        assert (row["members"], row["buyers"]) == (len(of), sum(map(bool, bought.values())))
        assert row["orders"] == sum(map(len, bought.values()))
        spend = sum(r.spend for rows in bought.values() for r in rows if r.currency == "EUR")
        assert row["spend"] == Decimal(spend) / 10000
        points = sum(
            -one.issued
            for one in recount.entries
            if one.member in of and one.wallet == row["wallet"] and month <= recount.day(one.occurred_at) <= last
        )
        assert row["points"] == points


def check_marketing(told: dict[str, Told], recount: Recount, shop: Shop) -> None:
    first, last = recount.span.first, recount.span.last
    campaigns = {"buy": "spring", "more": "spring", "fly": "spring", "hello": ""}
    for row in told["rules"].rows:
        expected = recount.earned(lambda one, row=row: one.rule == row["rule"], first, last)  # type: ignore[misc]
        same(row, {"granted": 0, "taken_back": 0, "written_off": 0, **expected})
        assert row["campaign"] == campaigns[row["rule"]]
    for row in told["campaigns"].rows:
        expected = recount.earned(
            lambda one, row=row: campaigns[one.rule] == row["campaign"] and one.wallet == row["wallet"],  # type: ignore[misc]
            first,
            last,
        )
        same(row, {"granted": 0, "taken_back": 0, "written_off": 0, **expected})
    returned = {row.key: row.returned for row in shop.rows(debit)}
    for row in told["rewards"].rows:
        of = [
            r for r in shop.rows(redemption) if r.reward == row["reward"] and first <= recount.day(r.created_at) <= last
        ]
        assert row["redemptions"] == len(of)
        assert Counter({s: row[s] for s in ("held", "issued", "used", "released", "expired", "revoked")}) == Counter(
            r.status for r in of
        )
        assert row["points"] == sum(r.price - returned.get(f"redemption:{r.id}", 0) for r in of)
    moves = [msgspec.json.decode(row.body, type=TierMoved) for row in shop.rows(event) if row.kind == "tier_moved"]
    have = Counter(row.name for row in shop.rows(tier))
    for row in told["tiers"].rows:
        mine = [m for m in moves if first <= m.occurred_at.astimezone(recount.span.zone).date() <= last]
        into = Counter(m.way for m in mine if m.tier == row["tier"])
        out = Counter(m.way for m in mine if m.before == row["tier"])
        assert (row["members"], row["joined"], row["risen"]) == (have[row["tier"]], into["joined"], into["up"])
        assert (row["fallen"], row["left_up"], row["left_down"]) == (into["down"], out["up"], out["down"])


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(text=texts, plan=steps, by=st.sampled_from(["", "day", "week", "month"]), back=st.integers(0, 6))
def test_every_report_is_what_a_recount_comes_to_whatever_happened_and_however_late_timers_are(
    database: Database, setting: Setting, text: tuple[str, str, str], plan: list[tuple[str, int]], by: str, back: int
) -> None:
    shop = Shop(database, setting, TEXT % text)
    for kind, number in plan:
        try:
            shop.step(kind, number)
        except RequestRefused:
            continue
    shop.now += timedelta(days=back // 2)
    first = str((shop.now - timedelta(days=back)).date())
    asked = {name: {"by": by} if report.splits else {} for name, report in REPORTS.items()}

    told = {name: shop.ask(name, first=first, **more) for name, more in asked.items()}
    shop.settle()

    recount = Recount(shop, told["points"].asked.span)
    check_ledgers(told, recount)
    check_people(told, Recount(shop, told["cohorts"].asked.span) if by == "" else recount)
    check_marketing(told, Recount(shop, told["rules"].asked.span), shop)
    for name in ("points", "liability", "breakage"):
        assert shop.ask(name, first=first, **asked[name]).rows == told[name].rows


def test_a_year_of_days_has_a_row_for_each_whose_figures_go_on_from_one_another(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, TEXT % ("none", "expire", "unlimited"))
    for step in (("order", 1), ("wait", 11), ("order", 2), ("wait", 11), ("refund", 0)):
        shop.step(*step)
    first = str((shop.now - timedelta(days=364)).date())
    rows = shop.ask("points", first=first, by="day", wallet="points").rows
    assert len(rows) == 365
    assert rows[0]["before"] == 0 < rows[-1]["outstanding"]
    assert [row["before"] for row in rows[1:]] == [row["outstanding"] for row in rows[:-1]]
    members = shop.ask("members", first=first, by="day").rows
    assert (len(members), sum(row["active"] for row in members)) == (365, 2)


def test_what_had_expired_before_a_late_timer_was_owed_only_until_its_midnight(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, TEXT % ("none", "expire", "unlimited"))
    shop.now += timedelta(days=6)  # nothing ran for six days
    days = {
        str(row["day"]): row["owed"]
        for row in shop.ask("liability", first="2026-03-27", by="day", wallet="points").rows
    }
    # Joined on the 27th, valid for two days: the last is the 29th, on which the clock goes forward.
    assert [days[f"2026-03-{day}"] for day in (27, 28, 29, 30)] == [30, 30, 30, 0]
    shop.settle()
    again = shop.ask("points", first="2026-03-30", last="2026-03-30", wallet="points").rows
    assert (again[0]["expired"], again[0]["outstanding"]) == (30, 0)


def test_points_that_were_dead_when_they_were_heard_of_expire_when_they_are_booked(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, TEXT % ("none", "expire", "unlimited"))
    shop.now += timedelta(days=5)
    shop.step("order", 9)  # of four days before
    for _ in range(2):
        rows = shop.ask("points", first="2026-03-27", by="day", wallet="points").rows
        # 30 for joining at their midnight; 72 and 36 for the order, on the day on which they came.
        assert {str(row["from"]): row["expired"] for row in rows if row["expired"]} == {
            "2026-03-30": 30,
            "2026-04-01": 108,
        }
        assert all(row["outstanding"] >= 0 for row in rows)
        shop.settle()


def test_points_that_got_another_life_stay_with_what_had_been_credited(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, TEXT % ("none", "renew", "unlimited"))
    day = {"first": "2026-03-27", "last": "2026-03-27", "wallet": "points"}
    shop.step("spend", 8)  # nine of the thirty for joining
    shop.now += timedelta(days=4)
    shop.step("cancel", 0)
    (row,) = shop.ask("breakage", **day).rows
    assert [row[name] for name in ("credited", "expired", "open", "used")] == [30, 21, 9, 0]
    shop.now += timedelta(days=4)  # nobody has booked the end of their other life
    for _ in range(2):
        (row,) = shop.ask("breakage", **day).rows
        assert (row["expired"], row["open"], row["breakage"]) == (30, 0, Decimal(1))
        shop.settle()
    assert shop.ask("breakage", first="2026-03-28", wallet="points").rows[0]["credited"] == 0


def test_an_order_that_got_another_customer_counts_once_and_for_the_new_one(
    database: Database, setting: Setting
) -> None:
    shop = Shop(database, setting, TEXT % ("none", "expire", "unlimited"))
    for age, customer in enumerate(("ann", "ben")):
        snapshot = order(40, at=shop.now - HOUR, age=age, customer=customer)
        shop.hear(OrderSeen(reference="moved", snapshot=snapshot))
    (rule,) = [row for row in shop.ask("rules", first="2026-03-27").rows if row["rule"] == "buy"]
    assert (rule["orders"], rule["spend"], rule["points"]) == (1, Decimal("40.00"), 40)
    (spring,) = [row for row in shop.ask("campaigns", first="2026-03-27").rows if row["wallet"] == "points"]
    # Two rules of the campaign paid for it.
    assert (spring["orders"], spring["spend"], spring["points"]) == (1, Decimal("40.00"), 60)


def test_every_kind_of_entry_and_every_account_has_its_place_in_the_report_on_points() -> None:
    sorted_in = {kind for _, _, kinds in FLOWS.values() for kind in kinds}
    moves_nothing_of_the_program = {"activate", "hold", "merge", "unmerge"}  # what one member gives the other gets
    known = {kind for kind in EntryKind.__args__ if kind != "adjust"}  # type: ignore[attr-defined]
    assert known | {UP, DOWN, EXCHANGE} == sorted_in | moves_nothing_of_the_program
    own = {account for account, _, _ in FLOWS.values()}
    assert own == set(ACCOUNTS) - set(MEMBER_ACCOUNTS) - {"transferred"}


def test_a_merge_and_its_undoing_change_no_figure_of_the_ledgers(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, TEXT % ("none", "expire", "unlimited"))
    for step in (("order", 1), ("order", 2), ("spend", 3), ("redeem", 1)):
        shop.step(*step)
    first = str(shop.now.date())
    asked = ("points", "liability", "breakage")
    earned = ("rules", "campaigns", "cohorts")
    shop.hear(RefundSeen(order=shop.orders[-1], refund=refund("R", [("L1", 9)], at=shop.now)))
    before = [shop.ask(name, first=first).rows for name in asked]
    paid = [shop.ask(name, first=first).rows for name in earned]
    assert any(row["members"] == 2 for row in paid[0])
    ann, ben = shop.members
    done = shop.work(lambda unit: merging.merge(unit, ben, ann, by="me"))
    assert [shop.ask(name, first=first).rows for name in asked] == before
    for rows, known in zip([shop.ask(name, first=first).rows for name in earned], paid, strict=True):
        # Whoever is one person counts once; every other figure stays.
        people = {"members", "buyers"}
        assert [{k: v for k, v in row.items() if k not in people} for row in rows] == [
            {k: v for k, v in row.items() if k not in people} for row in known
        ]
        assert all(row["members"] == min(1, was["members"]) for row, was in zip(rows, known, strict=True))
    shop.work(lambda unit: spending.spend(unit, ann, "points", 9, "late", ""))
    after = [shop.ask(name, first=first).rows for name in asked]
    shop.work(lambda unit: merging.unmerge(unit, done.id, by="me"))
    assert [shop.ask(name, first=first).rows for name in asked[:2]] == after[:2]


def test_every_report_that_is_told_of_can_be_read() -> None:
    assert READERS.keys() == REPORTS.keys()


def test_a_report_on_nothing_has_figures_of_nothing(database: Database, setting: Setting) -> None:
    shop = Shop(database, setting, TEXT % ("none", "expire", "unlimited"))
    shop.setting = dataclasses.replace(shop.setting, merchant=f"nobody-{next(_numbers)}")
    for name in REPORTS:
        for row in shop.ask(name).rows:
            assert not any(value for key, value in row.items() if isinstance(value, int) and key != "scale")

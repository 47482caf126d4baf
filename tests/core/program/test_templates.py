"""Every shipped template plays a small history through the engine, to the point; every ready-made text is told whole."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from stampcard.domain.events import CustomEvent, OrderSeen
from stampcard.domain.members import Member
from stampcard.domain.messages import Form
from stampcard.domain.orders import OrderLine, Refund
from stampcard.domain.texting import is_basic, parts_of
from stampcard.domain.tiers import Tier
from stampcard.domain.value import replace
from stampcard.domain.wallets import balance_of
from stampcard.engine.deciding import decide_custom, decide_day, decide_order
from stampcard.engine.describing import Past, Purchase
from stampcard.engine.gauging import Counted
from stampcard.engine.rendering import Content, render, values_of
from stampcard.engine.requesting import decide_settle, decide_spend
from stampcard.engine.tiering import assess
from stampcard.engine.versions import LiveProgram, compiled
from stampcard.engine.world import World
from stampcard.program.costing import cost_lines
from stampcard.program.placeholders import shape_of
from stampcard.program.reading import read_program
from stampcard.program.templates import CARD, COUNTER, LANGUAGES, PAGES, READY, WORDS, ready
from stampcard.program.texts import direction_of, flaws_of_text, locale_of, template_of
from stampcard.testing.building import absorbed, order, refund, world

PROGRAMS = Path(__file__).parents[3] / "config" / "programs"
SHIPPED = files("stampcard.cli").joinpath("templates", "programs")
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.yaml") if path.stem != "demo")
DAY = timedelta(days=1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class History:
    """What happens to Ann, one thing after another, and what she has then."""

    def __init__(self, name: str, *, is_new: bool = False, **attributes: Any) -> None:
        scene = world((PROGRAMS / f"{name}.yaml").read_text(), now=NOON)
        ann = replace(scene.members["ann"], attributes=attributes)
        self.world: World = replace(scene, members={"ann": replace(ann, programs=frozenset()) if is_new else ann})
        self._numbers = iter(range(1, 100))
        self._orders: dict[str, OrderSeen] = {}
        self._progress: dict[date, int] = {}

    def later(self, **more: float) -> History:
        """So much later."""
        self.world = replace(self.world, now=self.world.now + timedelta(**more))
        return self

    def ranked(self, at: datetime | None = None, spend: Decimal = Decimal(0)) -> History:
        """Give Ann the tier that she has by now, once so much more counts for a day."""
        (live,) = self.world.programs.current(self.world.now)
        if live.ladder is None:
            return self
        day = (at or self.world.now).astimezone(live.program.zone).date()
        self._progress[day] = self._progress.get(day, 0) + int(spend * live.ladder.unit)
        ann = self.world.members["ann"]
        known = ann.tiers.get(live.name) or Tier(program=live.name, name="", since=NOON)
        counted = Counted(joined_at=ann.joined_at, progress=self._progress)
        tier, _ = assess(live.ladder, known, counted, self.world.now)
        self.world = replace(self.world, members={"ann": replace(ann, tiers={live.name: tier})})
        return self

    def buys(self, *amounts: Any, reference: str = "", **more: Any) -> Mapping[str, int]:
        """What each rule grants for an order placed now, which the next orders' history tells of."""
        reference = reference or f"order-{next(self._numbers)}"
        snapshot = order(*amounts, at=self.world.now, **more)
        self._orders[reference] = OrderSeen(reference=reference, snapshot=snapshot)
        granted = self.ranked()._told(self._orders[reference])
        self.ranked(snapshot.occurred_at, snapshot.total)
        past = self.world.pasts.get("ann", Past())
        kept = Purchase(occurred_at=snapshot.occurred_at, spend=snapshot.total, currency="EUR")
        purchases = {**past.purchases, ("shop", reference): kept}
        self.world = replace(self.world, pasts={"ann": replace(past, purchases=purchases)})
        return granted

    def returns(self, reference: str, back: Refund) -> Mapping[str, int]:
        """What a refund takes from each rule's award."""
        before = {award.rule: award.due for award in self.world.awards[f"order:shop:{reference}"].values()}
        self._told(replace(self._orders[reference], refunds=(back,)))
        after = {award.rule: award.due for award in self.world.awards[f"order:shop:{reference}"].values()}
        return {rule: before[rule] - due for rule, due in after.items() if before[rule] != due}

    def does(self, event: str, **data: Any) -> Mapping[str, int]:
        """What each rule grants for an event that somebody reports."""
        key = f"event-{next(self._numbers)}"
        seen = CustomEvent(name=event, customer="1", key=key, occurred_at=self.world.now, data=data)
        decision = decide_custom(self.world, seen, self.world.members["ann"], "shop")
        self.world = absorbed(self.world, decision)
        return {award.rule: award.granted for award in decision.awards if award.granted}

    def has(self) -> tuple[int, int, int]:
        """Active, pending and negative points, in the smallest unit, as time has it."""
        (wallet,) = self.world.wallets.values()
        self.world = absorbed(self.world, decide_settle(self.world, [wallet]))
        balance = balance_of(self.world.wallets["ann", wallet.name].sums, 0)
        return balance.active, balance.pending, balance.negative

    def spends(self, points: int) -> None:
        (wallet,) = self.world.wallets.values()
        key = f"spend-{next(self._numbers)}"
        self.world = absorbed(self.world, decide_spend(self.world, "ann", wallet.name, points, key, ""))

    def _told(self, event: OrderSeen) -> Mapping[str, int]:
        decision = decide_order(self.world, event, "shop", "ann", self.world.now)
        self.world = absorbed(self.world, decision)
        return {award.rule: award.granted for award in decision.awards if award.granted}


@pytest.mark.parametrize("name", NAMES)
def test_a_template_says_whom_it_is_for_and_what_it_costs(name: str) -> None:
    text = (PROGRAMS / f"{name}.yaml").read_text()
    schema, blank, best, *lines = text.splitlines()
    assert (schema, blank, best[:11]) == ("# yaml-language-server: $schema=./program.schema.json", "#", "# Best for ")
    told = [line.removeprefix("# ") for line in lines if line.startswith(("# Expected cost: ", "# Beside that"))]
    assert told == cost_lines(read_program(text, name))


def test_the_package_ships_the_same_templates() -> None:
    assert {path.name: path.read_text() for path in SHIPPED.iterdir()} == {
        f"{name}.yaml": (PROGRAMS / f"{name}.yaml").read_text() for name in NAMES
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_template_tells_its_members_something_and_only_those_who_agreed(name: str) -> None:
    told = read_program((PROGRAMS / f"{name}.yaml").read_text(), name).messages
    assert {terms.purpose for terms in told.values()} == {"marketing"}


@pytest.mark.parametrize("name", NAMES)
def test_a_template_decides_what_any_program_must(name: str) -> None:
    program = read_program((PROGRAMS / f"{name}.yaml").read_text(), name)
    (wallet,) = program.wallets.values()
    assert {"value", "pending", "expire", "rounding", "refunds"} <= wallet.model_fields_set
    purchases = [rule for rule in program.rules if rule.on == "purchase" and rule.stack == "add"]
    assert all(rule.base.model_fields_set for rule in purchases)


def test_points_simple() -> None:
    ann = History("points-simple", is_new=True)
    assert ann.buys(40, "19.99", reference="A") == {"welcome": 100, "purchase": 299}
    assert ann.buys("19.99") == {}
    assert [ann.does("review", stars=5) for _ in range(5)] == [{"review": 25}] * 4 + [{}]
    assert ann.returns("A", refund("R", [("L2", "19.99")], at=ann.world.now)) == {"purchase": 99}
    assert ann.has() == (0, 400, 0)
    assert ann.later(days=15).has() == (400, 0, 0)
    assert ann.later(days=366).has() == (0, 0, 0)


def test_stamps() -> None:
    ann = History("stamps")
    assert ann.buys(8, reference="A") == {"stamp": 1}
    assert ann.later(minutes=29).buys(8) == {}
    assert [ann.later(minutes=31).buys(12) for _ in range(3)] == [{"stamp": 1}] * 2 + [{}]
    assert ann.later(days=1).buys("4.99") == {}
    gift = OrderLine(reference="L1", quantity=1, gross=Decimal(20), gift_card=True)
    assert ann.buys(lines=(gift,)) == {}
    assert ann.has() == (3, 0, 0)
    ann.spends(3)
    assert ann.returns("A", refund("R", [("L1", 8)], at=ann.world.now)) == {"stamp": 1}
    assert ann.has() == (0, 0, 1)


def test_tiers_vip() -> None:
    ann = History("tiers-vip", is_new=True)
    sale = OrderLine(reference="L2", quantity=1, gross=Decimal(100), tags=("sale",))
    full = OrderLine(reference="L1", quantity=1, gross=Decimal(500))
    assert ann.buys(lines=(full, sale)) == {"welcome": 100, "purchase": 2500}
    assert ann.later(days=1).buys(1000, reference="B") == {"purchase": 6250}
    assert ann.later(days=1).buys(10) == {"purchase": 75}
    assert ann.later(days=380).buys(10) == {"purchase": 75}  # thirty days of grace
    assert ann.later(days=30).buys(10) == {"purchase": 50}


def test_tiers_vip_never_takes_back_more_than_there_is() -> None:
    ann = History("tiers-vip")
    ann.buys(60, 40, reference="A")
    assert ann.has() == (0, 500, 0)
    ann.later(days=15).spends(400)
    assert ann.returns("A", refund("R", [("L2", 40)], at=ann.world.now)) == {"purchase": 200}
    assert ann.has() == (0, 0, 0)


def test_cashback_credit() -> None:
    ann = History("cashback-credit")
    taxed = OrderLine(reference="L1", quantity=1, gross=Decimal("49.50"), tax=Decimal("7.90"))
    assert ann.buys(lines=(taxed,), tax_included=True, reference="A") == {"cashback": 149}
    assert ann.has() == (149, 0, 0)
    ann.spends(149)
    assert ann.buys(30, paid_with_points=Decimal(15)) == {"cashback": 45}
    assert ann.returns("A", refund("R", [("L1", "49.50")], at=ann.world.now)) == {"cashback": 149}
    assert ann.has() == (0, 0, 104)
    assert ann.buys(10_000) == {"cashback": 10_000 - 45}


def test_referral_duo() -> None:
    ann = History("referral-duo")
    assert ann.buys(50, reference="A") == {"purchase": 250, "first-order": 500}
    assert ann.later(hours=1).buys(50) == {"purchase": 250}
    assert ann.has() == (0, 1000, 0)
    assert ann.returns("A", refund("R", [("L1", 50)], at=ann.world.now)) == {"purchase": 250, "first-order": 500}
    assert ann.later(days=15).has() == (250, 0, 0)


def test_birthday_winback() -> None:
    ann = History("birthday-winback", birthday="1990-03-31")
    assert ann.buys(20) == {"purchase": 100, "birthday-month": 100}
    gift = decide_day(ann.world, "main", "birthday", ann.world.members["ann"], ann.world.now, 2026)
    ann.world = absorbed(ann.world, gift)
    assert ann.has() == (200, 200, 0)
    assert ann.later(days=31).has() == (200, 0, 0)
    assert ann.buys(20) == {"purchase": 100}
    assert ann.later(days=91).buys(20) == {"purchase": 100, "come-back": 100}
    assert ann.later(days=1).buys(20) == {"purchase": 100}


def test_in_store_and_web() -> None:
    ann = History("in-store-and-web", is_new=True)
    assert ann.buys(30, channel="pos") == {"welcome": 100, "purchase": 150}
    assert ann.buys(30, channel="web") == {"purchase": 150}
    assert [ann.does("visit"), ann.later(hours=1).does("visit")] == [{"visit": 10}, {}]
    assert [ann.later(hours=13).does("visit") for _ in range(6)] == [{"visit": 10}] * 5 + [{}]
    assert ann.has() == (60, 400, 0)
    assert [ann.buys(1) for _ in range(11)] == [{"purchase": 5}] * 10 + [{}]


def test_subscription_b2b() -> None:
    company = History("subscription-b2b")
    service = OrderLine(reference="L3", quantity=1, gross=Decimal(900), tags=("service",))
    parts = tuple(OrderLine(reference=f"L{n}", quantity=1, gross=Decimal("99.40")) for n in (1, 2))
    assert company.buys(lines=(*parts, service), paid=False, reference="A") == {}
    paid = order(lines=(*parts, service), at=company.world.now, age=60)
    assert company._told(OrderSeen(reference="A", snapshot=paid)) == {"invoice": 396}
    assert company.does("subscription_started") == {"started": 1000}
    assert [company.does("subscription_renewed"), company.does("subscription_renewed")] == [{"renewed": 200}, {}]
    assert company.has() == (200, 1396, 0)
    assert company.later(days=31).has() == (1596, 0, 0)
    company.spends(1500)
    company._orders["A"] = OrderSeen(reference="A", snapshot=paid)
    assert company.returns("A", refund("R", [("L1", "99.40")], at=company.world.now)) == {"invoice": 198}
    assert company.has() == (0, 0, 102)


#: Ready-made texts that go with one occasion, and that occasion; the others go with any.
OCCASIONS = {
    "opt_in": "consent_asked",
    "points_earned": "points_earned",
    "points_expiring": "7 days before points_expire",
    "reward_issued": "reward_issued",
    "reward_expiring": "7 days before reward_expires",
    "tier_up": "tier_up",
    "tier_ending": "14 days before tier_ends",
    "win_back": "60 days after last_purchase",
    "program_ending": "30 days before program_ends",
    "link": "link_asked",
}
SAYING = """
program: main
name: Café Lune
currency: EUR
timezone: Europe/Amsterdam
wallets: {points: {}}
rules: [{id: purchase, on: purchase, award: 1 per 1 EUR}]
ending: {last_earn: 2027-01-31, last_redeem: 2027-02-28}
"""
SENDING = "sending: {address: 'Dam 1, Amsterdam', page: 'https://lune.example/me'}\n"
#: What a message needs besides, so that its ready-made text fits.
MORE = {"feedback": ", question: {kind: score, texts: {en: How was it?}}", "invitation": ", to: customers"}
#: Isolates what stands between them from the direction around it.
FSI, PDI = "\u2068", "\u2069"
LATIN = tuple(language for language in LANGUAGES if language != "ar")
POINTS_EARNED = {
    "ar": {
        0: "لا نقاط جديدة",
        1: "حصلت على نقطة واحدة",
        2: "حصلت على نقطتين",
        3: "حصلت على 3 نقاط",
        11: "حصلت على 11 نقطة",
        100: "حصلت على 100 نقطة",
        1103: "حصلت على 1,103 نقاط",
    },
    "en": {0: "You earned 0 points", 1: "You earned 1 point", 2: "You earned 2 points", 11: "You earned 11 points"},
    "id": {n: f"Anda mendapat {n} poin" for n in (0, 1, 2, 11)},
    "it": {
        0: "Hai guadagnato 0 punti",
        1: "Hai guadagnato 1 punto",
        2: "Hai guadagnato 2 punti",
        11: "Hai guadagnato 11 punti",
        1_000_000: "Hai guadagnato 1.000.000 punti",
    },
    "ms": {n: f"Anda memperoleh {n} mata ganjaran" for n in (0, 1, 2, 11)},
    "nl": {
        0: "Je hebt 0 punten gespaard",
        1: "Je hebt 1 punt gespaard",
        2: "Je hebt 2 punten gespaard",
        11: "Je hebt 11 punten gespaard",
    },
}


def saying(sending: str = SENDING) -> LiveProgram:
    """A program with a message for every ready-made text."""
    lines = (f"  {name}: {{on: {OCCASIONS.get(name, 'by_hand')}, use: {name}{MORE.get(name, '')}}}\n" for name in READY)
    return compiled(read_program(f"{SAYING}{sending}messages:\n{''.join(lines)}", "saying"), 1, NOON)


WHOLE, BARE = saying(), saying(sending="")


def written(name: str, form: Form, language: str, points: int) -> Content:
    """A ready-made text where all is known that it can name, and so many of everything that is counted."""
    ann = Member(id="ann", joined_at=NOON, attributes={"first_name": "Ann"})
    items = [{"name": "Tea", "points": points}, {"name": "Cake", "points": 100}]
    told = {
        **values_of(WHOLE, ann, {"points": points}, NOON),
        **dict.fromkeys(("points", "days", "minutes"), points),
        **{
            f"{what}_url": f"https://lune.example/{what}"
            for what in ("confirm", "join", "link", "question", "unsubscribe")
        },
        "expires_on": date(2026, 5, 8),
        "last_earn": date(2027, 1, 31),
        "last_redeem": date(2027, 2, 28),
        "reward": {"name": "Espresso", "code": "ABC-123", "valid_until": date(2026, 12, 8)},
        "tier": {"name": "Gold", "until": date(2026, 12, 8), "missing": points},
        "question": "OK?",
        "items": items if points else [],
    }
    return render(WHOLE, WHOLE.program.messages[name], form, language, told)


def texts_of(language: str) -> Iterator[tuple[str, str, str]]:
    """Name, field and text of every ready-made text."""
    for name in READY:
        yield from ((name, field, text) for field, text in ready(language)[name].items())


def named_in(text: str, language: str) -> tuple[set[str], Counter[str]]:
    """What a text names, and which tags it has how often."""
    found = template_of(text, language).plain.analyze()
    names = {".".join(map(str, use.segments)) for uses in found.variables.values() for use in uses}
    return names, Counter({tag: len(places) for tag, places in found.tags.items()})


def counted_in(text: str) -> Iterator[tuple[str, set[str]]]:
    """Every number that a text has forms for, with the names of those."""
    for name, forms in re.findall(r"\{\{ ([\w.]+) \| plural: ([^}]*) \}\}", text):
        quoted = re.sub(r"\"[^\"]*\"|'[^']*'", "", forms)
        yield name, set(re.findall(r"(\w+):", quoted))


def assert_clean(text: str) -> None:
    """Nothing of the template is left, and no gap where it said nothing."""
    assert text.strip()
    assert re.findall(r"\{\{|\}\}|\{%|%\}|#|None|  | [.,:;!?،؟)]|\( |\n\n\n", text) == []
    assert FSI + PDI not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_ready_made_text_and_every_word(language: str) -> None:
    told, english = ready(language), ready("en")
    assert set(english) == {*READY, WORDS, PAGES, CARD, COUNTER}
    assert {name: set(of) for name, of in told.items()} == {name: set(of) for name, of in english.items()}
    assert [
        (name, key) for name, of in told.items() for key, text in of.items() if text != text.strip() or not text
    ] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ready_made_text_names_what_the_english_one_does_under_the_same_conditions(language: str) -> None:
    english = ready("en")
    other = [
        (name, field)
        for name, field, text in texts_of(language)
        if named_in(text, language) != named_in(english[name][field], "en")
    ]
    assert other == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_of_pages_have_the_places_of_the_english_ones(language: str) -> None:
    for group in (WORDS, PAGES, CARD, COUNTER):
        places = {key: sorted(re.findall(r"\{\w*\}", text)) for key, text in ready(language)[group].items()}
        assert places == {key: sorted(re.findall(r"\{\w*\}", text)) for key, text in ready("en")[group].items()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_people_write_back_is_the_same_word_in_every_language(language: str) -> None:
    told = {name: set(re.findall(r"\b[A-Z]{4,}\b", ready(language)[name]["text"])) for name in READY}
    assert {name: words for name, words in told.items() if words} == {
        "stopped": {"START"},
        "started": {"STOP"},
        "help": {"BALANCE", "REWARDS", "STOP"},
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_number_has_all_the_forms_that_its_language_has(language: str) -> None:
    locale = locale_of(language)
    assert locale is not None
    needed = {*locale.plural_form.tags, "other"}
    for name, field, text in texts_of(language):
        forms = list(counted_in(text))
        assert len(forms) == text.count("plural:"), (name, field)
        assert [one for one, of in forms if not needed <= of <= {*needed, "zero"}] == [], (name, field)
        zeros, english = (
            Counter(one for one, of in counted if "zero" in of)
            for counted in (forms, counted_in(ready("en")[name][field]))
        )
        assert english <= zeros, (name, field)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ready_made_text_has_no_flaws(language: str) -> None:
    for name, field, text in texts_of(language):
        shape = shape_of(WHOLE.program, WHOLE.program.messages[name])
        assert flaws_of_text(text, shape) == [], (name, field)


@pytest.mark.parametrize("points", [0, 1, 2, 11])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ready_made_text_is_written_out_whole(language: str, points: int) -> None:
    for name in READY:
        mail, text = written(name, "mail", language, points), written(name, "text", language, points)
        for told in (mail.subject, mail.text.partition("\n\n-- \n")[0], text.text):
            assert_clean(told)
        assert re.findall(r"\{\{|\{%|None", mail.html) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ready_made_text_leaves_out_what_is_not_known(language: str) -> None:
    nobody = Member(id="nobody", joined_at=NOON)
    told = {
        **values_of(BARE, nobody, {"points": 3}, NOON),
        **dict.fromkeys(("points", "days", "minutes"), 3),
        **{f"{what}_url": f"https://lune.example/{what}" for what in ("confirm", "join", "link", "question")},
        **dict.fromkeys(("expires_on", "last_earn", "last_redeem"), date(2026, 5, 8)),
        "reward": {"name": "Espresso"},
        "tier": {"name": "Gold"},
        "question": "OK?",
    }
    forms: tuple[Form, ...] = ("mail", "text")
    for name, terms in BARE.program.messages.items():
        for content in (render(BARE, terms, form, language, told) for form in forms):
            assert_clean(f"{name} {content.subject}")
            assert_clean(content.text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_ready_made_mail_says_its_language_and_direction(language: str) -> None:
    direction = "rtl" if language == "ar" else "ltr"
    assert direction_of(language) == direction
    for name in READY:
        mail = written(name, "mail", language, 2)
        assert (mail.language, f'<html lang="{language}" dir="{direction}"' in mail.html) == (language, True)
        assert ready(language)[WORDS]["unsubscribe"] in mail.text


@pytest.mark.parametrize(
    ("language", "points", "subject"),
    [(language, points, told) for language, of in POINTS_EARNED.items() for points, told in of.items()],
)
def test_points_are_counted_as_the_language_counts(language: str, points: int, subject: str) -> None:
    whole = f"{FSI}{subject}{PDI}" if language == "ar" else subject
    assert written("points_earned", "mail", language, points).subject == whole


@pytest.mark.parametrize(
    ("points", "told", "days"),
    [
        (0, "ليس لديك نقاط", "لم يمضِ يوم"),
        (1, "لديك نقطة واحدة", "مضى يوم واحد"),
        (2, "لديك نقطتان", "مضى يومان"),
        (3, "لديك 3 نقاط", "مضت 3 أيام"),
        (11, "لديك 11 نقطة", "مضى 11 يومًا"),
        (100, "لديك 100 نقطة", "مضى 100 يوم"),
    ],
)
def test_arabic_declines_what_is_counted(points: int, told: str, days: str) -> None:
    assert written("balance", "text", "ar", points).text == f"{FSI}Café Lune{PDI}: {FSI}{told}{PDI}."
    assert f"{FSI}{days}{PDI} على آخر عملية شراء لك." in written("win_back", "mail", "ar", points).text


@pytest.mark.parametrize("language", LATIN)
def test_a_short_text_is_one_part_of_the_default_alphabet(language: str) -> None:
    for name in READY:
        text = written(name, "text", language, 250).text
        assert [letter for letter in text if not is_basic(letter)] == [], name
        assert parts_of(text) == 1, name


def test_a_short_text_in_arabic_is_two_parts_at_most() -> None:
    assert [name for name in READY if parts_of(written(name, "text", "ar", 250).text) > 2] == []


def test_an_italian_day_has_its_weekday_and_so_needs_no_article() -> None:
    assert written("points_expiring", "mail", "it", 3).subject == "3 punti scadono venerdì 8 maggio 2026"
    assert [(name, field) for name, field, text in texts_of("it") if re.search(r"\| date(?!: .full)", text)] == []

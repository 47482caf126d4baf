from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.errors import ProgramError
from stampcard.program.amounts import FixedAward, RateAward
from stampcard.program.model import Program
from stampcard.program.reading import read_program

PROGRAMS = Path(__file__).parents[3] / "config" / "programs"

HEAD = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
"""
CUPS = '{"program": "main", "currency": "EUR", "timezone": "UTC", "wallets": {"points": {}}}'
RULE = HEAD + "rules:\n  - {id: buy, on: purchase, award: 1 per 1 EUR}\n"


def problems(text: str) -> list[str]:
    with pytest.raises(ProgramError) as refused:
        read_program(text, "program.yaml")
    return [str(problem) for problem in refused.value.problems]


@pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_shipped_program_can_be_read_and_survives_as_json(path: Path) -> None:
    program = read_program(path.read_text(), path.name)
    assert Program.model_validate_json(program.model_dump_json()) == program


def test_a_character_that_json_writes_as_two_halves_is_one() -> None:
    document = {**json.loads(CUPS), "name": "Coffee \U0001f375"}
    assert "\\ud83c\\udf75" in json.dumps(document)
    assert read_program(json.dumps(document), "cups.json").name == "Coffee \U0001f375"


def test_the_demo_gives_a_point_for_a_euro_and_fifty_for_joining() -> None:
    program = read_program((PROGRAMS / "demo.yaml").read_text(), "demo.yaml")
    buying, joining = program.rules
    assert isinstance(buying.award, RateAward)
    assert isinstance(joining.award, FixedAward)
    assert str(joining.award) == "50"
    assert (program.wallets["points"].expire, program.wallets["points"].pending) == (None, None)


def test_what_is_left_out_has_the_documented_default() -> None:
    program = read_program(RULE, "program.yaml")
    wallet, (rule,) = program.wallets["points"], program.rules
    assert program.accept_late.days == 60
    assert (wallet.scale, wallet.rounding, wallet.round_per) == (0, "down", "order")
    assert (wallet.refunds.policy, wallet.refunds.restock_without_money) == ("within_balance", "count")
    assert wallet.returned_to_dead_lot == "expire"
    assert (rule.base.discount, rule.base.tax, rule.base.shipping) == ("after", "excluded", "excluded")
    assert rule.wallet == "points"
    assert rule.when is None


def test_no_stays_text_and_a_country_is_not_false() -> None:
    program = read_program(HEAD + "name: NO\n", "program.yaml")
    assert program.name == "NO"


def test_an_event_without_fields_may_be_declared_by_its_name_alone() -> None:
    assert read_program(HEAD + "events:\n  visit:\n", "program.yaml").events == {"visit": {}}


def test_a_program_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(read_program(RULE, "program.yaml"), "currency", "USD")  # noqa: B010 - the type checker forbids it too


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "1:1 a program file is a list of settings such as 'program: main'"),
        ("- main\n", "1:1 a program file is a list of settings such as 'program: main'"),
        (HEAD.replace("currency: EUR\n", ""), "1:1 currency: is missing"),
        (HEAD.replace("main", "Main"), "1:10 program: 'Main' does not have the form ^[a-z][a-z0-9_-]{0,39}$"),
        (
            HEAD.replace("Berlin", "Berlim"),
            "3:11 timezone: unknown time zone 'Europe/Berlim', did you mean 'Europe/Berlin'?",
        ),
        (HEAD.replace("{points: {}}", "{}"), "4:10 wallets: "),
        (HEAD.replace("{}", "{scale: 7}"), "4:27 wallets.points.scale: input should be less than or equal to 6"),
        (HEAD.replace("{}", "{scale: '2'}"), "4:27 wallets.points.scale: input should be a valid integer"),
        (
            HEAD.replace("{}", "{rounding: half_up}"),
            "4:30 wallets.points.rounding: 'half_up' is not one of down, up, half-up, half-even, did you mean 'half-up'?",
        ),
        (HEAD.replace("{}", "{expire: 12}"), "4:28 wallets.points.expire: write none, '12 months'"),
        (HEAD.replace("{}", "{pending: 2 months}"), "4:29 wallets.points.pending: write none, a number of days"),
        (
            HEAD.replace("{}", "{refunds: {polcy: unlimited}}"),
            "4:30 wallets.points.refunds.polcy: unknown setting, did you mean 'policy'?",
        ),
        (HEAD.replace("points:", "Points:"), "4:11 wallets.Points: 'Points' does not have the form"),
        (
            HEAD.replace("{}", "{when_tier_changes: follow}"),
            "4:39 wallets.points.when_tier_changes: no tier's points live otherwise: say which, in expire_by_tier",
        ),
        (HEAD + "tiers: {by: [points], levels: {gold: 1}}\n", "5:13 tiers.by: ['points'] is not one of points, spend"),
        (HEAD + "accept_late: 60\n", "5:14 accept_late: write a number with days"),
        (HEAD + "acept_late: 60 days\n", "5:1 acept_late: unknown setting, did you mean 'accept_late'?"),
        (HEAD + "attributes: {vip: bool}\n", "5:19 attributes.vip: 'bool' is not one of string"),
        (HEAD + "attributes: {email: integer}\n", "5:21 attributes.email: email is built in and always a string"),
        (HEAD + "events: {purchase: {}}\n", "5:20 events.purchase: purchase is built in and cannot be declared"),
        (HEAD + "events: {review: {stars: int}}\n", "5:26 events.review.stars: 'int' is not one of"),
        (HEAD + "state: test\n", "5:8 state: a test needs its members"),
        (HEAD + "state: ending\n", "5:8 state: a program that ends needs its last days"),
        (HEAD + "state: over\n", "5:8 state: 'over' is not one of draft, test, soft, live, ending, ended"),
        (HEAD + "rates: {EUR: 1}\n", "5:14 rates.EUR: this is the program's own currency"),
        (HEAD + "rates: {USD: 0}\n", "5:14 rates.USD: write how much of the program's currency one unit is"),
        (HEAD + "rates: {USD: {soon: 1}}\n", "5:14 rates.USD: write how much of the program's currency one unit is"),
        (
            HEAD + "ending: {last_earn: 2026-05-01, last_redeem: 2026-04-01}\n",
            "5:9 ending: last_earn comes first, then last_redeem, then closed",
        ),
        (
            HEAD + "groups: {a: {limits: 5 USD ever}}\n",
            "5:22 groups.a.limits[0]: the program's currency is EUR, not USD",
        ),
        (
            HEAD + "groups: {a: {limits: [5 points ever, 6 points ever]}}\n",
            "5:38 groups.a.limits[1]: another limit here counts the same already",
        ),
        (HEAD + "campaigns: {a: {variants: {b: 60 %}, control: 50 %}}\n", "5:16 campaigns.a: the shares of variants"),
        (
            HEAD + "campaigns: {a: {variants: {control: 50 %}}}\n",
            "5:16 campaigns.a: a variant cannot be called control",
        ),
        (
            HEAD.replace("{}", "{value: 1 USD per 100}"),
            "4:27 wallets.points.value: the program's currency is EUR, not USD",
        ),
        (
            HEAD.replace("{}", "{expire: 1 year after last vist}"),
            "4:28 wallets.points.expire: unknown event 'vist', did you mean 'visit'?",
        ),
        (
            HEAD.replace("{}", "{pending: 'until review, at most 9 days'}"),
            "4:29 wallets.points.pending: the event review must say whose points it frees",
        ),
        (
            HEAD.replace("{}", "{scale: 2}, stars: {}")
            + "groups: {g: {limits: 5 points ever}}\nrules:\n"
            + "  - {id: a, on: visit, award: 1, wallet: points, groups: g}\n"
            + "  - {id: b, on: visit, award: 1, wallet: stars, groups: g}\n",
            "5:22 groups.g.limits[0]: its rules pay into wallets of different scale: points, stars",
        ),
        (HEAD + "rules: {id: a}\n", "5:8 rules: write a list here, each entry beginning with '- '"),
        (HEAD + "currency: USD\n", "5:1 'currency' stands here a second time (first in line 2)"),
        (HEAD + "a: &x 1\n", "5:4 anchors (&) and aliases (*) are not used in a program file: quote the text"),
        (HEAD + 'a: "\\ud83c"\n', "5:4 half a character"),
        (HEAD + '"\\udf81\\ud83c": 1\n', "5:1 half a character"),
        (HEAD + "a: *x\n", "5:4 anchors (&) and aliases (*) are not used"),
        (HEAD + "a: !!python/name:os.system\n", "5:4 tags (!) are not used in a program file"),
        (HEAD + "---\na: 1\n", "6:1 what follows '---' is a message: begin it with 'message: NAME'"),
        (HEAD + "? [a]\n: 1\n", "5:3 a key is a plain word"),
        (HEAD + "name: [\n", "6:1 not readable as YAML: expected the node content"),
        (HEAD + "name: \x00\n", "not readable as YAML: unacceptable character"),
    ],
)
def test_a_mistake_in_the_settings_is_told_with_its_place(text: str, problem: str) -> None:
    (told,) = problems(text)
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("on: purchas, award: 1", "7:9 rules[1].on: unknown event 'purchas', did you mean 'purchase'?"),
        ("on: visited, award: 1", "7:9 rules[1].on: unknown event 'visited', did you mean 'visit'?"),
        ("award: 1 for 1 EUR, on: purchase", "7:9 rules[1].award: write a number of points, or '1 per 1 EUR'"),
        ("award: 1 per 1 USD, on: purchase", "7:9 rules[1].award: the program's currency is EUR, not USD"),
        (
            "award: 1 per 1 EUR, on: sign_up",
            "7:9 rules[1].award: only a purchase, or an event with a field amount: number, has an amount to earn on",
        ),
        ("award: 1 per item, on: visit", "7:9 rules[1].award: only a purchase has items and a formula"),
        ("on: birthday, award: 1", "7:9 rules[1].on: nobody's birthday is known: declare it under attributes"),
        ("campaign: x, award: 1, on: visit", "7:9 rules[1].campaign: unknown campaign 'x', there is: none"),
        ("variant: x, award: 1, on: visit", "7:9 rules[1].variant: a variant belongs to a campaign"),
        ("groups: x, award: 1, on: visit", "7:9 rules[1].groups: unknown group 'x', there is: none"),
        ("values: [{award: 2}], award: 1, on: visit", "7:9 rules[1].values[0]: say for whom: tier or when"),
        (
            "pending: 'until fulfilled,at most 5 days', award: 1, on: visit",
            "7:9 rules[1].pending: only points of an order can wait",
        ),
        ("limits: 9 points monthly, award: 1, on: visit", "7:9 rules[1].limits[0]: write a number of points"),
        ("who: {share: 0 %}, award: 1, on: visit", "7:9 rules[1].who.share: write a share above 0"),
        (
            "during: {weekdays: [monday]}, award: 1, on: visit",
            "7:9 rules[1].during.weekdays[0]: 'monday' is not one of",
        ),
        ("award: 1.5, on: sign_up", "7:9 rules[1].award: 1.5 is finer than wallet 'points', which has scale 0"),
        ("id: buy, award: 1, on: sign_up", "7:9 rules[1].id: another rule is called 'buy' already"),
        ("id: Two, award: 1, on: sign_up", "7:9 rules[1].id: 'Two' does not have the form"),
        (
            "wallet: pionts, award: 1, on: sign_up",
            "7:9 rules[1].wallet: unknown wallet 'pionts', did you mean 'points'?",
        ),
        ("base: {tax: included}, award: 1, on: sign_up", "7:9 rules[1].base: only a purchase has a base"),
        ("base: {tax: yes}, award: 1, on: purchase", "7:9 rules[1].base.tax: 'yes' is not one of excluded, included"),
        ("when: true, award: 1, on: purchase", "7:9 rules[1].when: write text here"),
        ("cooldwn: 1 day, award: 1, on: purchase", "7:9 rules[1].cooldwn: unknown setting"),
        ("award: 1", "7: rules[1].on: is missing"),
    ],
)
def test_a_mistake_in_a_rule_is_told_with_its_place(rule: str, problem: str) -> None:
    settings = rule.split(", ")
    if not any(setting.startswith("id:") for setting in settings):
        settings.append("id: two")
    text = RULE + "  - " + "\n    ".join(settings) + "\n"
    (told,) = problems(text)
    place, message = problem.split(" ", 1)
    line, _ = place.split(":")
    assert told.startswith(f"{line}:")
    assert message in told


def test_with_several_wallets_a_rule_names_one() -> None:
    text = RULE.replace("{points: {}}", "{points: {}, status: {}}")
    assert problems(text) == ["6:5 rules[0].wallet: name one of the wallets: points, status"]


def test_everything_that_is_wrong_is_told_at_once_in_the_order_of_the_file() -> None:
    text = """\
program: main
currency: EUR
timezone: Europe/Berlin
colour: red
wallets:
  points: {rounding: sideways}
rules:
  - id: one
    on: purchase
    when: order.totl > 1
    award: 1 per 1 USD
  - id: one
    on: purchase
    award: nothing
    when: order.total > 'x'
  - on: purchase
    award: 1
"""
    assert [(told.split(" ")[0], told.split(" ")[1]) for told in problems(text)] == [
        ("4:1", "colour:"),
        ("6:22", "wallets.points.rounding:"),
        ("10:16", "rules[0].when:"),
        ("11:12", "rules[0].award:"),
        ("12:9", "rules[1].id:"),
        ("14:12", "rules[1].award:"),
        ("15:23", "rules[1].when:"),
        ("16:5", "rules[2].id:"),
    ]


@pytest.mark.parametrize(
    ("when", "problem"),
    [
        ("order.totl >= 20", "8:16 rules[0].when: unknown name 'order.totl', did you mean 'order.total'?"),
        ("'order.totl >= 20'", "8:17 rules[0].when: unknown name 'order.totl'"),
        ("order.total > 'x'", "8:23 rules[0].when: '>' does not go with a decimal number and text"),
        (
            "order.total == 20",
            "8:23 rules[0].when: '==' does not go with a decimal number and a whole number: write 20.0",
        ),
        ("order.total = 20", "8:23 rules[0].when: write == to compare"),
        ("order.total > 1 and true", "8:27 rules[0].when: write && for 'and'"),
        ("order.total >", "8:24 rules[0].when: the condition ends too early"),
        ("'order.number == \"x'", "8:28 rules[0].when: not understood"),
        ("order.number + 'a' == 'b'", "8:24 rules[0].when: joining texts with + is switched off"),
        ("order.lines.map(l, l.sku) == []", "8:26 rules[0].when: map() is switched off"),
        ("order.total", "8:11 rules[0].when: a condition is true or false"),
        ("member.attributes.vip == true", "8:29 rules[0].when: 'vip' is not declared under attributes"),
        ("event.data.stars > 3", "8:21 rules[0].when: unknown name 'event.data.stars'"),
        ("|\n      order.total > 1 &&\n        order.totl > 1", "10:14 rules[0].when: unknown name 'order.totl'"),
        (">\n      order.totl > 1", "8:11 rules[0].when: unknown name 'order.totl'"),
        ("order.total > 1 &&\n      order.totl > 1", "8:11 rules[0].when: unknown name 'order.totl'"),
        ('""', "8:11 rules[0].when: the condition ends too early"),
        ("order.total > 1 || " * 120 + "true", "8:11 rules[0].when: a condition has at most 2000 characters"),
    ],
)
def test_a_mistake_in_a_condition_is_told_with_its_place(when: str, problem: str) -> None:
    (told, *_) = problems(HEAD + f"rules:\n  - id: buy\n    on: purchase\n    when: {when}\n    award: 1\n")
    assert told.startswith(problem)


def test_a_rule_named_like_a_stand_in_does_not_hold_the_reading_up() -> None:
    rules = "".join(f"  - {{id: the-rule-at-{at}, on: purchase, award: 1}}\n" for at in (1, 1, 3, 3, 1))
    assert len(problems(HEAD + "rules:\n" + rules)) >= 3


def test_too_large_a_file_is_refused_unread() -> None:
    assert problems("#" * 65_537) == ["the file is larger than 64 KB"]


@pytest.mark.parametrize("text", ["[" * 60_000, "- " * 30_000, "{a: " * 15_000, "[\n" * 30_000])
def test_too_deep_a_file_is_refused_without_building_it(text: str) -> None:
    (told,) = problems(text)
    assert told.endswith("nested more than 16 levels deep")


WORDS = st.sampled_from(
    ["points", "purchase", "sign_up", "order.total > 1", "1 per 1 EUR", "none", "EUR", "integer", "a"]
)
SETTINGS = [
    "program",
    "currency",
    "wallets",
    "points",
    "refunds",
    "scale",
    "expire",
    "rules",
    "id",
    "on",
    "when",
    "award",
]
SETTINGS += ["wallet", "base", "tax", "attributes", "events", "review", "nonsense", "policy"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(SETTINGS), inner, max_size=5),
    max_leaves=20,
)
RULES = st.lists(st.dictionaries(st.sampled_from(SETTINGS[8:15]), ANYTHING | WORDS), max_size=4)


@given(st.dictionaries(st.sampled_from(SETTINGS), ANYTHING), ANYTHING | RULES)
def test_whatever_shape_the_settings_have_they_are_read_or_refused(settings: object, rules: object) -> None:
    sound = {"program": "a", "currency": "EUR", "timezone": "UTC", "wallets": {"points": {}}}
    for candidate in (settings, {**sound, "rules": rules}):
        with suppress(ProgramError):
            read_program(json.dumps(candidate), "program.yaml")


@given(st.text(max_size=200) | st.text("[]{}:,-&*!|>'\"#? \nabc019.", max_size=200))
def test_whatever_stands_in_a_file_it_is_read_or_refused(text: str) -> None:
    for candidate in (text, HEAD + text, HEAD + "rules:\n  - id: " + text):
        with suppress(ProgramError):
            read_program(candidate, "program.yaml")

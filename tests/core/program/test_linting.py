"""What a right program may still not mean: each hint is told where it fits, and only there."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from stampcard.cli.main import app
from stampcard.program.conditions import compile_conditions
from stampcard.program.deducing import always, at_least, never
from stampcard.program.linting import CODES, Hint, hints
from stampcard.program.reading import read_program

ROOT = Path(__file__).parents[3]
PROGRAMS = ROOT / "config" / "programs"
TODAY = date(2026, 11, 24)

HEAD = """\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {points: {pending: 14 days, value: 1 EUR per 100}}
"""
BUY = "{id: buy, on: purchase, award: 1 per 1 EUR}"


def found(text: str, today: date = TODAY) -> list[Hint]:
    return hints(read_program(text, "program.yaml"), text, today)


def of_rules(*rules: str, head: str = HEAD) -> list[Hint]:
    return found(head + "rules:\n" + "".join(f"  - {rule}\n" for rule in rules))


def codes(*rules: str, head: str = HEAD) -> list[str]:
    return [hint.code for hint in of_rules(*rules, head=head)]


def test_a_plain_program_has_none() -> None:
    assert of_rules(BUY) == []


def test_a_hint_says_where() -> None:
    (hint,) = of_rules(BUY, "{id: more, on: purchase, award: 5}")
    assert str(hint) == (
        "7:5 rules[1]: pays for the same as 'buy', and both do. "
        "If only the better one shall, write in both: stack: best"
    )


@pytest.mark.parametrize(
    ("rule", "other"),
    [
        ("when: order.total > 50", "when: order.total  > 50"),
        ("who: {share: 10 %}", "who: {share: 10 %}"),
        ("during: {weekdays: [mon]}", "during: {weekdays: [mon]}"),
    ],
)
def test_two_rules_for_the_same_thing_both_pay(rule: str, other: str) -> None:
    rules = [f"{{id: {name}, on: purchase, award: 1, {more}}}" for name, more in (("a", rule), ("b", other))]
    assert codes(*rules) == ["pays_twice"]


@pytest.mark.parametrize(
    "more",
    [
        "when: order.total > 50",
        "who: {share: 10 %}",
        "during: {weekdays: [mon]}",
        "limits: 1 time ever",
        "base: {only: {tag: new}}",
        "stack: best",
        "enabled: false",
    ],
)
def test_rules_that_differ_in_when_for_whom_or_what_are_meant(more: str) -> None:
    assert codes(BUY, f"{{id: more, on: purchase, award: 5, {more}}}") == []
    assert codes(BUY, "{id: twice, on: purchase, award: x2}") == []


def test_what_stands_behind_a_rule_that_always_stops_hardly_ever_pays() -> None:
    stop = "{id: first, on: purchase, award: 2 per 1 EUR, stack: stop}"
    later = "{id: later, on: purchase, award: 5, when: order.total > 50}"
    assert codes(stop, later) == ["shadowed"]
    assert codes(stop.replace("stop}", "stop, when: order.total > 10}"), later) == []
    assert codes(stop, later.replace("when", "priority: -1, when")) == []
    assert codes(stop, "{id: join, on: sign_up, award: 5}") == []


def test_a_multiplier_needs_something_in_its_wallet() -> None:
    alone = "{id: twice, on: purchase, award: x2, wallet: points}"
    assert codes(alone, "{id: join, on: sign_up, award: 5}") == ["multiplies_nothing"]
    assert codes(alone, BUY.replace("EUR}", "EUR, enabled: false}")) == ["multiplies_nothing"]
    head = HEAD.replace("wallets: {", "wallets: {status: {spendable: false}, ")
    assert codes(alone, BUY.replace("EUR}", "EUR, wallet: status}"), head=head) == ["multiplies_nothing"]
    assert codes(alone, BUY) == []


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (["{id: buy, on: purchase, award: 40 per 1 EUR}"], "wallets.points.value: gives back 40.0 % of what members"),
        ([BUY, "{id: many, on: purchase, award: x30, when: order.total > 9}"], "rules[1].award: makes it 30.0 %"),
        (
            ["{id: buy, on: purchase, award: 5 per 1 EUR, values: [{when: order.total > 9, award: 25 per 1 EUR}]}"],
            "rules[0].values[0].award: makes it 25.0 %",
        ),
        (["{id: stamp, on: purchase, when: order.total >= 2, award: 50}"], "gives back 25.0 %"),
    ],
)
def test_giving_much_back_is_asked(rules: list[str], message: str) -> None:
    (hint,) = of_rules(*rules)
    assert hint.code == "gives_much"
    assert message in str(hint)


def test_giving_back_is_told_only_of_what_points_are_worth() -> None:
    much = "{id: buy, on: purchase, award: 40 per 1 EUR}"
    assert codes(much, head=HEAD.replace(", value: 1 EUR per 100", "")) == []
    assert codes(much.replace("40", "20")) == []


def test_points_that_can_be_spent_before_the_goods_come_back_are_lost() -> None:
    head = HEAD.replace("pending: 14 days, ", "")
    (hint,) = of_rules(BUY, head=head)
    assert (hint.code, hint.path, hint.line) == ("no_waiting", "wallets.points.pending", 4)
    assert codes(BUY, head=head.replace("value", "refunds: {policy: only_pending}, value")) == ["no_waiting"]
    assert codes(BUY, head=head.replace("value", "refunds: {policy: unlimited}, value")) == []
    assert codes(BUY.replace("EUR}", "EUR, pending: 7 days}"), head=head) == []
    assert codes(BUY.replace("EUR}", "EUR, pending: none}")) == ["no_waiting"]
    assert codes("{id: join, on: sign_up, award: 5}", head=head) == []


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("order.total > 100 && order.total < 50", "order.total > 100 and order.total < 50 never hold together"),
        ("(100.0 < order.total) && (order.items > 1 && order.total <= 100.0)", "never hold together"),
        ("order.items > 2 && order.items < 3", "never hold together"),
        ("order.channel == 'pos' && order.channel == 'web'", "never hold together"),
        ("order.channel == 'pos' && order.channel != 'pos'", "never hold together"),
        ("order.total < 0 || order.total == -1.0", "order.total is 0 or more"),
        ("now.getDayOfWeek('Europe/Berlin') == 7", "is 0 for Sunday to 6 for Saturday"),
        ("now.getMonth() == 12", "is 0 for January to 11 for December"),
        ("order.currency == 'USD'", "order.currency is always 'EUR'"),
        ("order.total > 5 && false", "it says false"),
        ("1 > 2", "it reads nothing of the event"),
    ],
)
def test_a_condition_that_never_holds_is_told_with_the_reason(condition: str, reason: str) -> None:
    (hint,) = of_rules(f'{{id: buy, on: purchase, award: 1, when: "{condition}"}}')
    assert hint.code == "never_true"
    assert reason in hint.message


@pytest.mark.parametrize(
    "condition",
    ["order.total >= 0", "true", "1 < 2", "order.currency == 'EUR'", "now.getHours() < 24 && member.days >= 0"],
)
def test_a_condition_that_always_holds_is_told(condition: str) -> None:
    assert codes(f'{{id: buy, on: purchase, award: 1, when: "{condition}"}}') == ["always_true"]


@pytest.mark.parametrize(
    "condition",
    [
        "order.total > 50 && order.total < 100",
        "order.total > 100 || order.total < 50",
        "order.total > 2 && order.total < 3",
        "order.total > 100 ? order.total < 50 : true",
        "(order.total > 100) == (order.total < 50)",
        "!(order.total > 100) && order.total < 50",
        "order.lines.exists(line, line.quantity > 3) && order.lines.exists(line, line.quantity < 2)",
        "order.channel == 'a && order.total < 0'",
        "order.total > 5 // && order.total < 0",
        "order.tags.exists(tag, tag == 'a') && order.tags.exists(tag, tag == 'b')",
        "order.total - 100.0 > 0 && order.total < 150",
    ],
)
def test_a_condition_that_may_hold_is_left_alone(condition: str) -> None:
    assert codes(f'{{id: buy, on: purchase, award: 1, when: "{condition}"}}') == []


NAMES = {
    "order.total": st.sampled_from([0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 100.0]),
    "order.items": st.integers(0, 4),
    "member.days": st.integers(0, 4),
    "history.spend.ever": st.sampled_from([0.0, 1.0, 2.5]),
}
COMPARISONS = st.builds(
    lambda name, sign, number: f"{name} {sign} {float(number) if NAMES[name] is NAMES['order.total'] else number}",
    st.sampled_from(sorted(NAMES)),
    st.sampled_from(["<", "<=", ">", ">="]),
    st.integers(-1, 4),
)
CONDITIONS = st.recursive(
    COMPARISONS,
    lambda inner: st.builds(lambda a, sign, b: f"({a}) {sign} ({b})", inner, st.sampled_from(["&&", "||"]), inner),
    max_leaves=4,
)


@given(CONDITIONS, st.data())
def test_nothing_is_claimed_of_a_condition_that_an_event_contradicts(condition: str, data: st.DataObject) -> None:
    claims = (bool(never(condition, {})), always(condition, {}))
    if not any(claims):
        return
    text = HEAD + f'rules: [{{id: buy, on: purchase, award: 1, when: "{condition}"}}]'
    decided = compile_conditions(read_program(text, "program.yaml"))["purchase"]
    for _ in range(30):
        (verdict,), _values = decided.evaluate({name: data.draw(of) for name, of in NAMES.items()})
        assert verdict is claims[1]


def test_what_an_order_must_come_to_is_read_off_its_condition() -> None:
    assert at_least("order.total >= 5 && order.channel == 'pos'", "order.total") == 5
    assert at_least("order.total >= 5 || order.channel == 'pos'", "order.total") == 0
    assert at_least(None, "order.total") == 0


@pytest.mark.parametrize(
    ("limits", "on", "needless"),
    [
        ("[1 time per day, 1000 points per day]", "purchase", "1000 points per day"),
        ("[2 times per week, 100 points per month]", "purchase", ""),
        ("[1 time per month, 200 points per year]", "purchase", "200 points per year"),
        ("[100 points per month, 100 points per day]", "purchase", "100 points per day"),
        ("[1 time per day, '1000 points per day, in all']", "purchase", ""),
        ("['1 time per day, in all', 1000 points per day]", "purchase", "1000 points per day"),
        ("10 points per order", "purchase", "10 points per order"),
        ("9 points per order", "purchase", ""),
        ("1 time ever", "sign_up", "'1 time ever' is never reached: a member signs up once"),
        ("20 points per year", "anniversary", "20 points per year"),
        ("[500 members ever, 5000 points per day]", "purchase", ""),
    ],
)
def test_a_limit_that_something_else_makes_needless_is_told(limits: str, on: str, needless: str) -> None:
    hinted = of_rules(f"{{id: some, on: {on}, award: 10, limits: {limits}}}")
    assert [hint.code for hint in hinted] == ["limit_not_reached"] * bool(needless)
    assert all(needless in hint.message for hint in hinted)


def test_limits_of_groups_and_campaigns_are_looked_at_too() -> None:
    head = HEAD + (
        "groups: {social: {limits: [10 points per day, 1000 points per week]}}\n"
        "campaigns: {xmas: {limits: [5 times per day, 100 times per week]}}\n"
    )
    rule = "{id: share, on: social_share, award: 5, groups: social, campaign: xmas}"
    assert codes(rule, head=head) == ["limit_not_reached"] * 2


@pytest.mark.parametrize(
    ("campaign", "rule", "told"),
    [
        ("{dates: 2026-11-01..2026-11-23}", "", ("over", "campaigns.xmas.during")),
        ("{dates: 2026-11-01..2026-11-24}", "", None),
        ("{dates: '11-01..11-23'}", "", None),
        ("{dates: '2026-12-24', weekdays: [mon]}", "", ("never_open", "campaigns.xmas.during")),
        ("{dates: '2026-12-24', weekdays: [thu]}", "", None),
        ("{dates: '02-29', weekdays: [mon]}", "", None),
        ("{dates: 2026-12-01..9999-12-31}", "", None),
        ("{dates: ..0001-01-02}", "", ("over", "campaigns.xmas.during")),
        ("{dates: 2026-12-01..2026-12-31}", "{dates: 2027-01-01..}", ("never_open", "rules[0].during")),
        ("{dates: 2026-12-01..2026-12-31}", "{dates: '12-31..01-02'}", None),
        ("{hours: '08:00-11:00'}", "{hours: '11:00-12:00'}", ("never_open", "rules[0].during")),
        ("{hours: '22:00-02:00'}", "{hours: '01:00-03:00'}", None),
        ("{hours: '08:00-11:00'}", "{hours: '11:00-12:00', zone: member}", None),
    ],
)
def test_days_that_are_over_or_never_come_are_told(campaign: str, rule: str, told: tuple[str, str] | None) -> None:
    head = HEAD + f"campaigns: {{xmas: {{during: {campaign}}}}}\n"
    during = f", during: {rule}" if rule else ""
    hinted = of_rules(f"{{id: buy, on: purchase, award: 1, campaign: xmas{during}}}", head=head)
    assert [(hint.code, hint.path) for hint in hinted] == ([told] if told else [])


def test_last_days_in_the_past_are_told() -> None:
    ending = "ending: {last_earn: 2026-11-24, last_redeem: 2026-12-31}\nstate: ending\n"
    assert found(HEAD + ending) == []
    (hint,) = found(HEAD + ending, date(2026, 11, 25))
    assert (hint.code, hint.message) == ("ended", "2026-11-24 is past: nothing is earned any more")


@pytest.mark.parametrize(
    ("terms", "rule", "path"),
    [
        ("pending: 60 days, expire: 1 month", "", "wallets.points.pending"),
        ("pending: 14 days, expire: 1 month", "", ""),
        ("pending: 14 days, expire: 1 month", ", expire: 7 days", "rules[0].expire"),
        ("pending: 14 days", ", pending: 'until fulfilled, at most 60 days', expire: 30 days", "rules[0].pending"),
        ("pending: 60 days, expire: '1 month, end of year'", "", ""),
    ],
)
def test_points_that_wait_longer_than_they_live_are_told(terms: str, rule: str, path: str) -> None:
    head = HEAD.replace("pending: 14 days", terms)
    hinted = of_rules(BUY.replace("EUR}", f"EUR{rule}}}"), head=head)
    assert [(hint.code, hint.path) for hint in hinted] == ([("waits_too_long", path)] if path else [])


def test_what_no_rule_uses_is_told_where_it_stands() -> None:
    head = HEAD + "groups:\n  social: {}\ncampaigns:\n  xmas: {}\n  spring:\n    variants: {a: 50 %, b: 50 %}\n"
    hinted = of_rules("{id: buy, on: purchase, award: 1, campaign: spring, variant: a}", head=head)
    assert [(hint.code, hint.path, hint.line) for hint in hinted] == [
        ("unused", "groups.social", 6),
        ("unused", "campaigns.xmas", 8),
        ("unused", "campaigns.spring.variants.b", 10),
    ]


#: What shipped programs are hinted at all the same, because that is what they are for.
MEANT = {
    "demo": ["no_waiting"],
    # When their points may be used, and what a refund does to them, is not published.
    "coffee-stars": ["no_waiting"],
    "beauty-points": ["no_waiting", "worth_more"],
    "miles-and-status": ["no_waiting"],
}


@pytest.mark.parametrize("path", sorted(PROGRAMS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_programs_have_none_but_those_that_are_meant(path: Path) -> None:
    assert [hint.code for hint in found(path.read_text())] == MEANT.get(path.stem, [])


def test_the_guide_lists_every_code() -> None:
    page = (ROOT / "docs/how-to/write-a-program.md").read_text()
    assert [row for row in page.splitlines() if row.startswith("| `")] == [
        f"| `{code}` | {meaning} |" for code, meaning in CODES.items()
    ]


def checked(folder: Path, text: str, *more: str) -> Any:
    (folder / "program.yaml").write_text(text)
    return CliRunner().invoke(app, ["program", "check", str(folder / "program.yaml"), *more])


def test_check_tells_hints_beside_the_good_news(tmp_path: Path) -> None:
    text = HEAD.replace("pending: 14 days, ", "") + f"rules: [{BUY}]"
    people = checked(tmp_path, text)
    assert people.exit_code == 0
    assert "is right: 1 rule" in people.stdout
    assert people.stderr.startswith("hint: 4:19 wallets.points.pending: points can be spent before")
    programs = checked(tmp_path, text, "--json")
    data = json.loads(programs.stdout)
    assert (programs.exit_code, data["ok"], data["problems"]) == (0, True, [])
    assert data["hints"][0] == {
        "code": "no_waiting",
        "message": people.stderr.partition("pending: ")[2].rstrip(),
        "path": "wallets.points.pending",
        "line": 4,
        "column": 19,
    }


def test_check_asks_the_clock_for_today(tmp_path: Path) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=2)  # noqa: TID251 - the command asks the real clock
    text = HEAD + f"ending: {{last_earn: {yesterday}, last_redeem: {yesterday}}}\n"
    assert "nothing is earned any more" in checked(tmp_path, text).stderr


@pytest.mark.parametrize(
    ("reward", "codes"),
    [
        ("gives: 5 EUR off", ["unused"]),
        ("gives: 5 EUR off, price: 500", []),
        ("gives: 8 EUR off, price: 500", ["worth_more"]),
        ("gives: 50 % off, price: 500", []),
        ("gives: 50 % off, price: 500, limits: '90 EUR ever, in all'", ["open_end"]),
        ("gives: '50 % off, at most 9 EUR', price: 500, limits: '90 EUR ever, in all'", []),
        ("gives: merchandise, price: 0", []),
    ],
)
def test_a_reward_is_asked_whether_it_means_what_it_says(reward: str, codes: list[str]) -> None:
    text = (
        "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\n"
        "wallets: {points: {value: 1 EUR per 100, pending: 14 days}}\n"
        f"rules:\n  - {{id: buy, on: purchase, award: 1 per 1 EUR}}\nrewards: {{it: {{{reward}}}}}\n"
    )
    found = hints(read_program(text, "program.yaml"), text, date(2026, 3, 10))
    assert [hint.code for hint in found] == codes


def test_a_campaign_of_rewards_alone_is_used() -> None:
    text = (
        "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {points: {}}\n"
        "campaigns: {summer: {}}\nrewards: {it: {gives: merchandise, price: 1, campaign: summer}}\n"
    )
    assert hints(read_program(text, "program.yaml"), text, date(2026, 3, 10)) == []

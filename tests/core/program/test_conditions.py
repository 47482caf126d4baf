from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from stampcard.program.conditions import ConditionError, ConditionSet, Verdict, compile_conditions
from stampcard.program.reading import read_program

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)  # a Monday

ORDER: dict[str, object] = {
    "order.total": Decimal("59.50"),
    "order.subtotal": Decimal(50),
    "order.discount": Decimal(0),
    "order.tax": Decimal("9.50"),
    "order.shipping": Decimal(0),
    "order.currency": "EUR",
    "order.channel": "web",
    "order.number": "1001",
    "order.tags": ("gift",),
    "order.lines": [
        {"product": "p", "sku": "s1", "vendor": "v", "quantity": 2, "gross": Decimal(50), "gift_card": False},
    ],
    "member.joined_at": datetime(2025, 1, 1, tzinfo=UTC),
    "member.attributes": {"country": "DE", "birthday": "1990-01-05", "vip": True, "visits": 3},
    "now": NOW,
}


def conditions(*whens: str | None, on: str = "purchase") -> ConditionSet:
    rules = "".join(
        f"  - id: r{number}\n    on: {on}\n    award: 1\n" + (f"    when: |\n      {when}\n" if when else "")
        for number, when in enumerate(whens)
    )
    text = f"""\
program: main
currency: EUR
timezone: Europe/Berlin
wallets: {{points: {{}}}}
attributes: {{birthday: date, vip: boolean, visits: integer}}
events: {{review: {{stars: integer, written: date}}}}
rules:
{rules}"""
    return compile_conditions(read_program(text, "program.yaml"))[on]


@pytest.mark.parametrize(
    ("when", "verdict"),
    [
        ("order.total >= 20", True),
        ("20 <= order.total && order.total < 59.6", True),
        ("order.total >= 59.6", False),
        ("order.total == 59.5", True),
        ("member.attributes.size() == 4", True),
        ("order.tags.exists(t, t == 'gift')", True),
        ("'gift' in order.tags", True),
        ("order.lines.exists(l, l.sku == 's1' && l.quantity >= 2 && l.gross > 20)", True),
        ("order.lines.all(l, l.gift_card)", False),
        ("order.lines.filter(l, l.vendor == 'v').size() == 1", True),
        ("member.attributes.country == 'DE'", True),
        ("has(member.attributes.email) && member.attributes.email.endsWith('@example.org')", False),
        ("member.attributes.vip == true && member.attributes.visits > 2.5", True),
        ("timestamp(member.attributes.birthday).getMonth() == now.getMonth('Europe/Berlin')", True),
        ("now.getDayOfWeek('Europe/Berlin') == 1", True),
        ("now - member.joined_at > duration('8760h')", True),
        ("order.channel.matches('^(web|app)$')", True),
        ("order.total > 1 // a comment may end a condition", True),
    ],
)
def test_a_condition_sees_the_order_the_member_and_the_moment(when: str, verdict: bool | None) -> None:
    if verdict is None:
        with pytest.raises(Exception, match="true or false"):
            conditions(when)
        return
    assert conditions(when).evaluate(ORDER)[0] == [verdict]


def test_verdicts_stand_in_file_order_and_a_rule_without_condition_always_applies() -> None:
    decided = conditions("order.total > 100", None, "order.total > 10")
    assert list(decided.ids) == ["r0", "r1", "r2"]
    assert decided.evaluate(ORDER)[0] == [False, True, True]


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("member.attributes.email == 'x'", "there is no 'email' here: ask has() first"),
        ("member.attributes.country > 3", "'>' does not go with text and a whole number"),
        ("1 / (order.tags.size() - 1) > 0", "it failed when it ran (INVALID_ARGUMENT)"),
        ("member.attributes.birthday.getMonth() == 0", "'getMonth' goes with a moment, not with text"),
    ],
)
def test_a_condition_that_fails_is_told_and_the_others_stay_decided(when: str, message: str) -> None:
    first, failed, last = conditions("order.total > 10", when, "order.total > 100").evaluate(ORDER)[0]
    assert (first, last) == (True, False)
    assert isinstance(failed, ConditionError)
    assert failed.rule == "r1"
    assert failed.message.startswith(message)


def test_an_endless_condition_stops_and_stays_undecided() -> None:
    lines = [{"quantity": 1}] * 60
    nested = "order.lines.all(a, order.lines.all(b, order.lines.all(c, a.quantity + b.quantity + c.quantity > 0)))"
    verdicts = conditions(nested, "order.total > 1").evaluate({**ORDER, "order.lines": lines})[0]
    assert verdicts == [ConditionError(rule="r0", message="it takes too many steps"), True]


def test_a_failure_repeats_nothing_of_a_person() -> None:
    (verdict,), _ = conditions("timestamp(member.attributes.email) < now").evaluate(
        {**ORDER, "member.attributes": {"email": "ann@example.org"}}
    )
    assert isinstance(verdict, ConditionError)
    assert "ann" not in verdict.message


def test_a_variable_that_is_not_handed_in_leaves_its_rule_undecided() -> None:
    verdicts: list[Verdict] = conditions("order.total > 1", "order.number != ''").evaluate({"order.number": "1"})[0]
    assert isinstance(verdicts[0], ConditionError)
    assert verdicts[1] is True


def test_only_the_variables_that_conditions_mention_are_asked_for() -> None:
    decided = conditions("order . total > 1", "has(member.attributes.country)")
    assert decided.reads == {"order.total", "member.attributes"}
    assert conditions(None).reads == frozenset()


def test_what_an_open_map_holds_may_be_asked_as_it_is_if_it_is_true_or_false() -> None:
    asked = conditions("member.attributes.vip", "member.attributes.country", "order.total > 1")
    vip, country, last = asked.evaluate(ORDER)[0]
    assert (vip, last) == (True, True)
    assert country == ConditionError(
        rule=asked.ids[1], message="it is neither true nor false here: compare with something"
    )


def test_without_any_condition_every_rule_applies() -> None:
    assert conditions(None, None).evaluate({})[0] == [True, True]


def test_an_event_of_the_merchants_own_is_seen_with_its_fields() -> None:
    decided = conditions("event.data.stars >= 4", "timestamp(event.data.written).getFullYear() == 2026", on="review")
    data = {"stars": 5, "written": date(2026, 1, 4)}
    assert decided.evaluate({"event.data": data, "now": NOW})[0] == [True, True]
    assert decided.evaluate({"event.data": {**data, "written": "2025-12-31"}, "now": NOW})[0] == [True, False]


def test_rules_are_grouped_by_their_event() -> None:
    program = read_program(
        "program: main\ncurrency: EUR\ntimezone: UTC\nwallets: {points: {}}\nrules:\n"
        "  - {id: a, on: purchase, award: 1}\n  - {id: b, on: sign_up, award: 2}\n  - {id: c, on: purchase, award: 3}\n",
        "program.yaml",
    )
    grouped = {on: list(decided.ids) for on, decided in compile_conditions(program).items()}
    assert grouped == {"purchase": ["a", "c"], "sign_up": ["b"]}


def test_more_conditions_than_fit_one_list_are_decided_one_by_one() -> None:
    long = " || ".join(["order.number == 'never'"] * 70)
    assert conditions(*[long] * 30, "order.total > 1").evaluate(ORDER)[0] == [False] * 30 + [True]

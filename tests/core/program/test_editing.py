from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from stampcard.errors import NotFound, ProgramError, RequestRefused
from stampcard.program.conditions import flaws_of
from stampcard.program.editing import part_of, with_part, without_part
from stampcard.program.model import Program
from stampcard.program.parsing import parse
from stampcard.program.reading import read_program
from stampcard.program.rendering import block, flow, plain

TEXT = """\
# A program with all kinds of layout.
program: main
currency: EUR
timezone: Europe/Berlin   # days begin here
wallets: {points: {}}

campaigns:
  # the hot one
  summer:
    name: Summer   # as people see it
    variants:
      a: 40 %
      # the other
      b: 40 %
  winter: {enabled: false}   # not yet

rules:
  # what everybody gets
  - id: buy
    on: purchase   # not refunds
    # a floor
    when: order.total >= 20
    award: 1 per 1 EUR
    base:
      # with the tax
      tax: included   # as in the shop
    limits:   # per head
      # first
      - 3 times per day
      - 100 points ever

  - {id: welcome, on: sign_up, award: 100}   # hello
  # the last
  - when: >-
      order.total
      >= 5
    on: purchase
    id: odd
    award: 5
# the end
"""
FOLDER = Path(__file__).parents[3] / "config" / "programs"
#: Programs with rules.
SHIPPED = [
    text for text in (TEXT, *(path.read_text() for path in sorted(FOLDER.rglob("*.yaml")))) if "\nrules:" in text
]
#: The same as a file that somebody's program wrote.
FLOW = (
    '{"program": "main", "currency": "EUR", "timezone": "Europe/Berlin", "wallets": {"points": {}},\n'
    '# what pays\n "rules": [{"id": "buy", "on": "purchase",\n "award": "1 per 1 EUR"}, {"id": "bye", "on": "sign_up", "award": 1}]}\n'
)


def data(text: str) -> Any:
    document, problems = parse(text)
    assert document is not None
    assert not problems
    return document.data


def comments(text: str) -> Counter[str]:
    return Counter(line.strip() for line in text.splitlines() if line.strip().startswith("#"))


def changed_lines(before: str, after: str) -> tuple[list[str], list[str]]:
    old, new = before.splitlines(), after.splitlines()
    return [line for line in old if line not in new], [line for line in new if line not in old]


def rule(name: str, text: str = TEXT, **more: Any) -> dict[str, Any]:
    return {**part_of(text, "rules", name), **more}


def test_a_part_is_shown_as_it_is_written() -> None:
    assert part_of(TEXT, "rules", "buy") == {
        "id": "buy", "on": "purchase", "when": "order.total >= 20", "award": "1 per 1 EUR",
        "base": {"tax": "included"}, "limits": ["3 times per day", "100 points ever"],
    }  # fmt: skip
    assert part_of(TEXT, "campaigns", "winter") == {"enabled": False}


@pytest.mark.parametrize(("section", "name", "close"), [("rules", "bay", "buy"), ("campaigns", "sumer", "summer")])
def test_an_unknown_part_is_told_with_the_closest_there_is(section: Any, name: str, close: str) -> None:
    for call in (part_of, without_part):
        with pytest.raises(NotFound, match=f"Did you mean '{close}'"):
            call(TEXT, section, name)


def test_what_does_not_change_stays_to_the_letter() -> None:
    for name in ("buy", "welcome", "odd"):
        assert with_part(TEXT, "rules", name, rule(name)) == TEXT
    shuffled = dict(reversed(rule("buy").items()))
    assert with_part(TEXT, "rules", "buy", shuffled) == TEXT


@pytest.mark.parametrize(
    ("name", "more", "gone", "come"),
    [
        ("buy", {"award": "2 per 1 EUR"}, "    award: 1 per 1 EUR", "    award: 2 per 1 EUR"),
        ("buy", {"on": "refund"}, "    on: purchase   # not refunds", "    on: refund   # not refunds"),
        ("buy", {"base": {"tax": "excluded"}}, "      tax: included   # as in the shop", "      tax: excluded   # as in the shop"),
        ("welcome", {"award": 50}, "  - {id: welcome, on: sign_up, award: 100}   # hello", "  - {id: welcome, on: sign_up, award: 50}   # hello"),
        ("welcome", {"when": "[1, 2][0] == 1"}, "  - {id: welcome, on: sign_up, award: 100}   # hello", '  - {id: welcome, on: sign_up, award: 100, when: "[1, 2][0] == 1"}   # hello'),
    ],
)  # fmt: skip
def test_only_the_line_of_a_setting_changes(name: str, more: dict[str, Any], gone: str, come: str) -> None:
    assert changed_lines(TEXT, with_part(TEXT, "rules", name, rule(name, **more))) == ([gone], [come])


def test_settings_come_and_go_and_comments_of_their_own_line_stay() -> None:
    wanted = {"on": "purchase", "award": 3, "limits": "5 times ever", "cooldown": "1 hour"}
    after = with_part(TEXT, "rules", "buy", wanted)
    assert part_of(after, "rules", "buy") == {"id": "buy", **wanted}
    assert comments(after) == comments(TEXT)
    assert "    limits: 5 times ever   # per head" in after.splitlines()
    assert "    cooldown: 1 hour" in after.splitlines()


def test_the_first_setting_of_a_rule_may_go() -> None:
    wanted = {name: value for name, value in rule("odd").items() if name != "when"}
    after = with_part(TEXT, "rules", "odd", wanted)
    assert "  - on: purchase\n    id: odd\n" in after
    assert comments(after) == comments(TEXT)


def test_a_new_rule_stands_at_the_end_and_a_new_campaign_too() -> None:
    after = with_part(TEXT, "rules", "more", {"on": "purchase", "award": "x2", "during": {"weekdays": ["mon"]}})
    assert after == TEXT.replace(
        "    award: 5\n",
        "    award: 5\n  - id: more\n    on: purchase\n    award: x2\n    during: {weekdays: [mon]}\n",
    )
    after = with_part(TEXT, "campaigns", "spring", {"name": "It's: spring", "who": {"share": "30 %"}})
    assert after == TEXT.replace(
        "# not yet\n", '# not yet\n  spring:\n    name: "It\'s: spring"\n    who: {share: 30 %}\n'
    )


@pytest.mark.parametrize("there", ["", "rules:\n", "rules: []\n", "rules: []   # none yet\n", "rules: null\n"])
def test_the_first_rule_makes_the_section(there: str) -> None:
    text = f"program: main\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {{points: {{}}}}\n{there}# the end\n"
    after = with_part(text, "rules", "buy", {"on": "purchase", "award": 1})
    assert [one.id for one in read_program(after, "test").rules] == ["buy"]
    assert "# the end\n" in after
    again = without_part(after, "rules", "buy")
    assert read_program(again, "test").rules == ()
    assert comments(again) == comments(text)


def test_a_part_goes_with_its_own_comments_and_no_other() -> None:
    after = without_part(TEXT, "rules", "buy")
    assert comments(TEXT) - comments(after) == Counter(["# a floor", "# with the tax", "# first"])
    assert [one["id"] for one in data(after)["rules"]] == ["welcome", "odd"]
    after = without_part(without_part(TEXT, "campaigns", "summer"), "campaigns", "winter")
    assert data(after)["campaigns"] == {}
    assert "# the hot one" in after


def test_the_order_of_variants_is_kept_as_it_is_asked_for() -> None:
    wanted = {"name": "Summer", "variants": {"b": "40 %", "a": "40 %"}}
    after = with_part(TEXT, "campaigns", "summer", wanted)
    assert list(data(after)["campaigns"]["summer"]["variants"]) == ["b", "a"]
    assert comments(after) == comments(TEXT)


def test_a_file_that_a_program_wrote_is_changed_too() -> None:
    after = with_part(FLOW, "rules", "buy", {"on": "purchase", "award": "2 per 1 EUR", "priority": 3})
    after = with_part(after, "rules", "more", {"on": "purchase", "award": 1})
    after = without_part(with_part(after, "campaigns", "summer", {"name": "Summer"}), "rules", "bye")
    program = read_program(after, "test")
    assert [(one.id, str(one.award), one.priority) for one in program.rules] == [
        ("buy", "2 per 1 EUR", 3),
        ("more", "1", 0),
    ]
    assert program.campaigns["summer"].name == "Summer"
    assert comments(after) == comments(FLOW)


def test_a_rule_keeps_its_id() -> None:
    with pytest.raises(RequestRefused, match="'buy' cannot become 'bye'"):
        with_part(TEXT, "rules", "buy", rule("buy", id="bye"))


def test_what_cannot_be_read_is_refused_with_the_reason() -> None:
    deep: Any = "x"
    for _ in range(20):
        deep = [deep]
    with pytest.raises(ProgramError, match="levels deep"):
        with_part(TEXT, "rules", "buy", rule("buy", values=deep))
    with pytest.raises(ProgramError, match="larger than 64 KB"):
        with_part(TEXT, "rules", "buy", rule("buy", when="x" * 70_000))


SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "enabled": st.booleans(),
    "priority": st.integers(-9, 9),
    "award": st.sampled_from([5, 7.5, "1 per 2 EUR", "x2", "2 per item", "3 per 1 USD"]),
    "when": st.sampled_from(["order.total >= 5", "'A1' in order.by_sku", "member.days > 3 || [1, 2][0] == 1", "nonsense"]),
    "limits": st.sampled_from(["3 times per day", ["1 time ever", "5 points per week, in all"], [], "often"]),
    "during": st.fixed_dictionaries({}, optional={
        "dates": st.sampled_from(["12-24..12-26", ["2026-12-01..", "..2026-01-06"]]),
        "hours": st.just("08:00-11:00"),
        "weekdays": st.lists(st.sampled_from(["mon", "sun", "noday"]), max_size=2),
    }),
    "base": st.fixed_dictionaries({}, optional={
        "tax": st.sampled_from(["included", "excluded"]),
        "only": st.just({"sku": ["A*", "12", "# no"]}),
        "shipping": st.just("included"),
    }),
    "expire": st.sampled_from(["none", "12 months, end of year", None]),
    "stack": st.sampled_from(["best", "stop"]),
}  # fmt: skip


@st.composite
def edits(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """A text with comments strewn into it, a rule of it, and what that shall be."""
    text = draw(st.sampled_from(SHIPPED))
    lines = text.splitlines()
    folded = any(line.rstrip().endswith((">-", "|", ">")) for line in lines)
    for number in range(0 if folded else draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(lines)))
        lines.insert(at, " " * draw(st.integers(0, 8)) + f"# strewn {number}")
    text = "\n".join(lines) + "\n"
    names = [one["id"] for one in data(text)["rules"]]
    name = draw(st.sampled_from(names))
    there = part_of(text, "rules", name)
    gone = draw(st.sets(st.sampled_from(sorted(there.keys() - {"id"}))))
    more = draw(st.fixed_dictionaries({}, optional=SETTINGS))
    return text, name, {key: value for key, value in there.items() if key not in gone} | more


def model_of(text: str, name: str, wanted: dict[str, Any]) -> Program | None:
    """The program as if its model had been edited; None where it would be refused."""
    raw = data(text)
    rules = [plain(wanted) if one["id"] == name else one for one in raw["rules"]]
    try:
        program = Program.model_validate({**raw, "rules": rules})
    except ValidationError:
        return None
    return None if any(flaws_of(program)) else program


@given(edits())
def test_an_edited_rule_keeps_every_comment_and_yields_what_editing_the_model_would(
    edit: tuple[str, str, dict[str, Any]],
) -> None:
    text, name, wanted = edit
    after = with_part(text, "rules", name, wanted)
    assert comments(text) - comments(after) == Counter()
    assert comments(after) - comments(text) == Counter()
    if len(data(text)["rules"]) > 1:
        rest = without_part(text, "rules", name)
        inside = comments(text) - comments(rest)
        outside = [line for line in rest.splitlines() if line.strip() not in inside]
        assert [line for line in outside if line not in after.splitlines()] == []
    program: Program | None = None
    with suppress(ProgramError):
        program = read_program(after, "test")
    assert program == model_of(text, name, wanted)


TEXTS = st.text(max_size=20).filter(lambda text: not any("\ud800" <= one <= "\udfff" for one in text))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
VALUES = st.recursive(
    SCALARS, lambda of: st.lists(of, max_size=3) | st.dictionaries(TEXTS, of, max_size=3), max_leaves=8
)


@given(VALUES, st.integers(1, 3))
def test_whatever_is_written_is_read_again(value: Any, levels: int) -> None:
    assert data(f"{{a: {flow(value)}}}") == {"a": plain(value)}
    assert data("\n".join(block({"a": value}, 2, levels))) == {"a": plain(value)}

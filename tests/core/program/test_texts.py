"""What texts of messages come to: in each language, as HTML in which nobody but the merchant writes markup, within limits."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from liquid.exceptions import LiquidError

from stampcard.domain.messages import Form
from stampcard.engine.rendering import Content, write_out
from stampcard.errors import TextFailed
from stampcard.program.messages import MessageText
from stampcard.program.placeholders import shape_of
from stampcard.program.templates import LANGUAGES, READY, ready
from stampcard.program.texts import (
    LONGEST,
    direction_of,
    filled,
    flaws_of_page,
    flaws_of_text,
    locale_of,
    paragraphs,
    template_of,
    tidied,
)
from stampcard.testing.building import programs

PROGRAM = """
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
attributes: {colour: string, vegan: boolean, cups: integer}
wallets: {points: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
messages:
  m: {on: points_earned, use: points_earned}
"""
EVIL = """<script>alert("x")</script>'" onmouseover='y' & [click](https://evil.example) {{ balance }} <b>"""
ISOLATED = re.compile("\u2068(.*?)\u2069")


def written(
    text: str, form: Form = "mail", language: str = "en", values: Mapping[str, Any] | None = None, **more: str
) -> Content:
    """A text of a message on points that were earned, as it leaves."""
    (live,) = programs(PROGRAM).current(datetime(2026, 3, 10, tzinfo=UTC))
    shape = shape_of(live.program, live.program.messages["m"])
    seen = {"points": 12, "balance": 20, "currency": "EUR", **(values or {})}
    return write_out(live, MessageText(subject="Hi", text=text, **more), shape, form, language, seen)


def plain(text: str, language: str = "en", **values: Any) -> str:
    return template_of(text, language).plain.render(**{"language": language, "currency": "EUR", **values})


def marked(text: str, language: str = "en", **values: Any) -> str:
    return template_of(text, language).marked.render(**{"language": language, "currency": "EUR", **values})


class Tags(HTMLParser):
    """The tags and attributes of HTML, as a browser reads them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


# HTML of values


@pytest.mark.parametrize("text", ["[" + "{{ x }}" * 500, "[a](" + "{{ x }}" * 500, "[" * 2000])
def test_brackets_that_are_no_link_cost_nothing(text: str) -> None:
    begin = time.perf_counter()
    template_of(text, "ar")
    assert time.perf_counter() - begin < 2


def test_a_text_that_filters_for_too_long_fails() -> None:
    text = "{% for i in (1..1900) %}{{ words | split: '' | sort | reverse | size }}{% endfor %}"
    with pytest.raises(LiquidError, match="takes longer than 1 s"):
        filled(template_of(text, "en").plain, {"words": "abc" * 30_000})


def test_what_joining_would_make_too_long_fails_before_it_is_made() -> None:
    text = "{{ words | split: '' | join: words | size }}"
    with pytest.raises(LiquidError, match="join: more than 200000 characters"):
        filled(template_of(text, "en").plain, {"words": "a" * 18_000})


@pytest.mark.parametrize(
    "text",
    [
        "{{ (1..50000000) | join: ',' }}",
        "{{ (1..50000000) | reverse | size }}",
        "{% assign x = (1..50000000) | sort %}",
        "{% for i in (1..50000000) reversed %}{% endfor %}",
    ],
)
def test_a_range_is_for_a_loop_alone(text: str) -> None:
    (flaw,) = flaws_of_text(text, {})
    assert "is for a loop alone" in flaw.message


def test_a_loop_over_a_range_is_fine_and_so_are_two_dots_in_words() -> None:
    assert flaws_of_text("{% for i in (1..balance) limit: 5 %}*{% endfor %} {{ 'a..b' }} …", {"balance": None}) == []


def test_what_replacing_would_make_too_long_fails_before_it_is_made() -> None:
    long = "a" * 4_000
    text = f"{{{{ '{long}' | replace: 'a', '{long}' | replace: 'a', '{long}' }}}}"
    with pytest.raises(LiquidError, match="more than 200000 characters would come of it"):
        template_of(text, "en").plain.render()


def test_what_somebody_is_called_is_text_in_a_mail_and_never_markup() -> None:
    one = written(
        "Hello {{ member.first_name }},\n\n[look](https://shop.example)", values={"member": {"first_name": EVIL}}
    )
    tags = Tags(one.html)
    assert "script" not in {tag for tag, _ in tags.found}
    assert EVIL in tags.text
    assert [of["href"] for tag, of in tags.found if tag == "a"] == ["https://shop.example"]
    assert not any("onmouseover" in of for _, of in tags.found)
    # As text it is what it is.
    assert one.text.startswith(f"Hello {EVIL},")


def test_a_value_in_the_address_of_a_link_stays_in_its_quotes() -> None:
    html = marked("[go {{ name }}](https://shop.example/?q={{ name }}&a=1)", name=EVIL)
    ((tag, of), *more) = Tags(html).found
    assert (tag, set(of), {other for other, _ in more} - {"bdi"}) == ("a", {"href"}, set())
    assert of["href"] == f"https://shop.example/?q={EVIL}&a=1"


@pytest.mark.parametrize(
    "text",
    [
        "{{ name | append: name | prepend: name }}", "{{ name | upcase }}{{ name | downcase }}{{ name | capitalize }}",
        "{{ name | replace: 'a', name }}", "{{ name | truncate: 90 }}", "{{ name | slice: 0, 40 }}", "{{ name | strip }}",
        "{{ name | split: ' ' | join: ' ' }}", "{{ name | split: ' ' | first }}", "{{ name | split: '' | reverse | reverse | join: '' }}",
        "{% assign x = name %}{{ x }}", "{% capture x %}{{ name }}{% endcapture %}{{ x }}", "{{ none | default: name }}",
        "{% for one in names %}{{ one }}{% endfor %}", "{{ 1 | plural: one: name, other: name }}", "{{ name | date }}",
        "{% capture x %}{{ name }}{% endcapture %}{{ x | upcase }}", "{{ 5 | money: name }}", "{{ name | truncatewords: 9 }}",
        "{{ names | join: name }}", "{{ things | map: 'name' | join: ' ' }}", "{{ 'a' | replace_first: 'a', name }}",
    ],
)  # fmt: skip
def test_no_filter_and_no_variable_makes_markup_of_a_value(text: str) -> None:
    html = marked(text, name=EVIL, names=[EVIL], things=[{"name": EVIL}], none=None)
    assert {tag for tag, _ in Tags(html).found} <= {"bdi"}


values = st.text(alphabet="<>&\"'=/ abscript{}[]()", max_size=60)


@given(
    values,
    st.sampled_from(["{{ v }}", "[{{ v }}](https://a.example/{{ v }})", "{% if v %}{{ v | upcase }}{% endif %}"]),
)
def test_whatever_a_value_is_only_the_merchants_own_tags_are_there(value: str, text: str) -> None:
    for tag, attributes in Tags(marked(text, v=value)).found:
        assert tag in {"a", "bdi"}
        assert set(attributes) <= {"href"}


def test_html_that_the_merchant_writes_in_a_text_is_shown_as_it_stands() -> None:
    html = marked("1 < 2 & <b>bold</b>")
    assert {tag for tag, _ in Tags(html).found} == set()
    assert Tags(html).text == "1 < 2 & <b>bold</b>"


def test_in_html_of_their_own_the_merchant_writes_tags_and_values_are_text() -> None:
    one = written(
        "x",
        html="<p title='{{ member.first_name }}'>{{ member.first_name }}</p>",
        values={"member": {"first_name": EVIL}},
    )
    ((tag, of),) = Tags(one.html).found
    assert (tag, of, Tags(one.html).text) == ("p", {"title": EVIL}, EVIL)


def test_mjml_becomes_html_with_its_values_as_text() -> None:
    mjml = "<mjml><mj-body><mj-section><mj-column><mj-text>Hi {{ member.first_name }}</mj-text></mj-column></mj-section></mj-body></mjml>"
    assert flaws_of_page(mjml, {"member": {"first_name": None}}) == []
    one = written("x", html=mjml, values={"member": {"first_name": EVIL}})
    assert "<mj-" not in one.html
    assert "script" not in {tag for tag, _ in Tags(one.html).found}
    assert EVIL in Tags(one.html).text


def test_a_subject_has_one_line_whatever_a_value_holds() -> None:
    one = written("x", values={"member": {"first_name": "Ann\r\nBcc: all@example.com"}})
    assert one.subject == "Hi"
    (live,) = programs(PROGRAM).current(datetime(2026, 3, 10, tzinfo=UTC))
    shape = shape_of(live.program, live.program.messages["m"])
    text = MessageText(subject="Hi {{ member.first_name }}", text="x")
    told = write_out(live, text, shape, "mail", "en", {"member": {"first_name": "Ann\r\nBcc: all@example.com"}})
    assert told.subject == "Hi Ann Bcc: all@example.com"


# Links


def test_a_link_is_its_words_in_html_and_its_address_behind_them_in_plain_text() -> None:
    text = "See [your points](https://shop.example/p?a=1&b=2) now"
    assert plain(text) == "See your points: https://shop.example/p?a=1&b=2 now"
    assert marked(text) == 'See <a href="https://shop.example/p?a=1&amp;b=2">your points</a> now'


def test_a_link_whose_words_are_its_address_is_told_once() -> None:
    assert plain("[https://shop.example](https://shop.example)") == "https://shop.example"
    assert plain("[{{ a_url }}]({{ a_url }})", a_url="https://x.example") == "https://x.example"


def test_a_value_that_looks_like_a_link_is_none() -> None:
    told = "[prize](https://evil.example)"
    assert plain("{{ v }}", v=told) == told
    assert Tags(marked("{{ v }}", v=told)).found == [("bdi", {})]
    # Nor does it become one together with what stands around it.
    assert {tag for tag, _ in Tags(marked("[{{ v }}](x", v="a](https://evil.example)[b")).found} == {"bdi"}


@pytest.mark.parametrize("text", ["[a]", "(b)", "[a] (b)", "[](b)", "[a]()", "[a](b c)", "[a\nb](c)"])
def test_what_is_not_written_as_a_link_is_none(text: str) -> None:
    assert plain(text) == text
    assert Tags(marked(text)).found == []


# Directions


@pytest.mark.parametrize(
    ("language", "direction"),
    [("ar", "rtl"), ("ar-EG", "rtl"), ("he", "rtl"), ("fa", "rtl"), ("ur", "rtl"), ("en", "ltr"), ("nl-BE", "ltr"), ("id", "ltr"), ("xx", "ltr"), ("", "ltr")],
)  # fmt: skip
def test_a_language_has_its_direction(language: str, direction: str) -> None:
    assert direction_of(language) == direction


def test_values_keep_to_themselves_in_a_text_from_right_to_left() -> None:
    assert plain("مرحبا {{ name }}، {{ n | number }}!", "ar", name="Ann (Berlin)", n=3) == (
        "مرحبا \u2068Ann (Berlin)\u2069، \u20683\u2069!"
    )
    assert "\u2068" not in plain("Hello {{ name }}", "en", name="سارة")
    assert marked("مرحبا {{ name }}", "ar", name="Ann") == "مرحبا <bdi>Ann</bdi>"


def test_no_mark_becomes_a_part_of_an_address() -> None:
    text = "{{ confirm_url }} [اضغط]({{ question_url }}) {{ program.page }}"
    told = plain(
        text,
        "ar",
        confirm_url="https://a.example/1",
        question_url="https://a.example/2",
        program={"page": "https://a.example/3"},
    )
    assert "\u2068" not in told
    assert re.findall(r"https://\S+", told) == ["https://a.example/1", "https://a.example/2", "https://a.example/3"]


def test_a_condition_is_isolated_from_nothing() -> None:
    assert plain("{% if x %}نعم{% else %}لا{% endif %}", "ar", x=True) == "نعم"


def test_a_mail_in_a_language_from_right_to_left_says_so() -> None:
    assert 'dir="rtl"' in written("مرحبا", language="ar").html
    assert 'dir="rtl"' not in written("Hello").html


# Filters of languages


@pytest.mark.parametrize(
    ("language", "number", "money", "day", "long", "short"),
    [
        ("en", "1,234.5", "€1,234.50", "March 9, 2026", "Monday, March 9, 2026", "3/9/26"),
        ("nl", "1.234,5", "€\xa01.234,50", "9 maart 2026", "maandag 9 maart 2026", "09-03-2026"),
        ("it", "1.234,5", "1.234,50\xa0€", "9 marzo 2026", "lunedì 9 marzo 2026", "09/03/26"),
        ("id", "1.234,5", "€1.234,50", "9 Maret 2026", "Senin, 09 Maret 2026", "9/3/26"),
        ("ms", "1,234.5", "€1,234.50", "9 Mac 2026", "Isnin, 9 Mac 2026", "9/03/26"),
    ],
)  # fmt: skip
def test_numbers_money_and_days_are_written_as_the_language_does(
    language: str, number: str, money: str, day: str, long: str, short: str
) -> None:
    values = {"n": Decimal("1234.5"), "d": date(2026, 3, 9)}

    def said(text: str) -> str:
        return plain(text, language, **values)

    assert said("{{ n | number }}") == number
    assert said("{{ n | money }}") == money
    assert said("{{ d | date }}") == said("{{ d | date: 'long' }}") == said("{{ d | date: 'of course' }}") == day
    assert said("{{ d | date: 'full' }}") == long
    assert said("{{ d | date: 'short' }}") == short


def test_arabic_writes_days_with_its_own_months() -> None:
    assert "مارس" in plain("{{ d | date }}", "ar", d=date(2026, 3, 9))


def test_a_moment_is_told_as_its_day_and_what_is_no_day_as_it_is() -> None:
    assert plain("{{ d | date }}", d=datetime(2026, 3, 9, 22, tzinfo=UTC)) == "March 9, 2026"
    assert plain("{{ d | date }}", d="soon") == "soon"
    assert plain("{{ d | date }}|{{ d | number }}", d=None) == "|0"


def test_money_is_in_the_programs_currency_unless_another_is_said() -> None:
    assert plain("{{ 5 | money }} {{ 5 | money: 'JPY' }} {{ 5 | money: 'USD' }}") == "€5.00 ¥5 $5.00"


def test_a_truth_counts_as_one_and_words_as_nothing() -> None:
    assert plain("{{ yes | number }}{{ no | number }} {{ word | number }} {{ yes | plural: one: 'a', other: 'b' }}", yes=True, no=False, word="x") == (
        "10 0 a"
    )  # fmt: skip


FORMS = "{{ n | plural: zero: 'none', one: 'one #', two: 'two #', few: 'few #', many: 'many #', other: 'other #' }}"


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("en", {0: "none", 1: "one 1", 2: "other 2", 21: "other 21", -1: "one -1", 1000: "other 1,000"}),
        ("nl", {0: "none", 1: "one 1", 2: "other 2", 1000: "other 1.000"}),
        ("id", {0: "none", 1: "other 1", 5: "other 5"}),
        ("ms", {1: "other 1", 5: "other 5"}),
        ("it", {1: "one 1", 2: "other 2", 1_000_000: "many 1.000.000"}),
        ("pl", {1: "one 1", 2: "few 2", 5: "many 5", 22: "few 22"}),
    ],
)
def test_each_language_has_its_forms_of_a_number(language: str, said: dict[int, str]) -> None:
    assert {n: plain(FORMS, language, n=n) for n in said} == said


def test_arabic_has_six() -> None:
    found = [plain(FORMS, "ar", n=n).strip("\u2068\u2069").split()[0] for n in (0, 1, 2, 3, 10, 11, 99, 100, 1000)]
    assert found == ["none", "one", "two", "few", "few", "many", "many", "other", "other"]


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (Decimal("1.00"), "one 1"), (Decimal(1), "one 1"), (1.0, "one 1"), (Decimal("0.00"), "none"), (0, "none"), (0.0, "none"),
        (Decimal("1.50"), "other 1.5"), (Decimal("0.5"), "other 0.5"), (Decimal("1E+2"), "other 100"), (Decimal(100), "other 100"),
    ],
)  # fmt: skip
def test_a_number_with_places_is_counted_by_what_it_is_worth(number: Any, said: str) -> None:
    assert plain(FORMS, n=number) == said


def test_a_form_that_is_not_there_is_the_general_one_and_without_any_the_number() -> None:
    assert plain("{{ 0 | plural: one: '# point', other: '# points' }}") == "0 points"
    assert plain("{{ 1 | plural: other: '# points' }}") == "1 points"
    assert plain("{{ 1234 | plural }}") == "1,234"


# Shapes


def test_blank_lines_are_paragraphs_and_line_breaks_are_kept() -> None:
    assert paragraphs("a\nb\n\n \n\nc\n") == "<p>a<br>b</p><p>c</p>"
    assert paragraphs(" \n ") == ""
    assert tidied("\na  \n\n\n\n b\n") == "a\n\n b"


def test_the_same_flaw_is_told_once_and_in_the_order_of_the_text() -> None:
    found = flaws_of_text("{{ b }}\n{{ a | nmber }} {{ member.last_nam }}", {"member": {"last_name": None}})
    assert [(flaw.line, flaw.column, flaw.message) for flaw in found] == [
        (1, 4, "nothing here is called 'b'"),
        (2, 4, "nothing here is called 'a'"),
        (2, 8, "unknown filter 'nmber', did you mean 'number'?"),
        (2, 20, "nothing here is called 'member.last_nam', did you mean 'last_name'?"),
    ]


def test_what_a_text_makes_itself_is_known() -> None:
    assert (
        flaws_of_text(
            "{% assign x = 1 %}{{ x }}{% for y in items %}{{ y.anything }}{{ forloop.index }}{% endfor %}",
            {"items": {"*": None}},
        )
        == []
    )


def test_a_language_that_nobody_knows_has_no_rules() -> None:
    assert locale_of("zzq") is None
    assert str(locale_of("nl-BE")) == "nl_BE"
    assert str(locale_of("nl-ZZZZ-1")) == "nl"
    assert plain("{{ 1234 | number }}", "zzq") == "1,234"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", READY)
def test_every_ready_made_text_is_there_in_every_language_and_names_what_the_english_one_does(
    name: str, language: str
) -> None:
    mine, english = ready(language)[name], ready("en")[name]
    assert set(mine) == set(english)
    for part in ("subject", "text", "short"):
        names = [set(re.findall(r"[a-z]+(?:\.[a-z_]+|_url|_on)", one.get(part, ""))) for one in (mine, english)]
        assert names[0] == names[1], part


# Limits

X = "x" * 9_000


@pytest.mark.parametrize(
    "text",
    [
        "{% for i in (1..100000000) %}{% endfor %}",
        "{% for i in (1..2000) %}{% for j in (1..2000) %}x{% endfor %}{% endfor %}",
        f"{{% for i in (1..1900) %}}{X}{{% endfor %}}",
        "{% assign x = 'xxxxxxxxxx' %}{% for i in (1..100) %}{% assign x = x | append: x %}{% endfor %}",
        "{% assign x = 9 %}{% for i in (1..1000) %}{% assign x = x | times: x %}{% endfor %}",
        "{% for i in (1..50) %}{% capture x %}{{ x }}" + "y" * 9000 + "{% endcapture %}{% endfor %}",
        "{{ 5 | divided_by: 0 }}",
        "{{ 5 | modulo: 0 }}",
        "{{ 'x' | append }}",
    ],
)
def test_a_text_that_comes_to_too_much_or_cannot_be_fails_at_once(text: str) -> None:
    written("warm")
    begin = time.perf_counter()
    with pytest.raises(TextFailed, match="en: "):
        written(text)
    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    "text",
    [
        "{% if true %}" * 50 + "x" + "{% endif %}" * 50,
        "{% if true %}" * 1200 + "x" + "{% endif %}" * 1200,
        "{% for i in (1..2) %}" * 12 + "x" + "{% endfor %}" * 12,
        "{{ " + "(" * 900 + "1" + ")" * 900 + " }}",
        "{% if " + " and ".join(["true"] * 1900) + " %}x{% endif %}",
        "x" * (LONGEST + 1),
        "{% include 'x' %}", "{% render 'x' %}", "{% cycle 'a', 'b' %}", "{% increment x %}", "{% tablerow i in (1..2) %}{% endtablerow %}",
        "{{ 'x' | escape_once }}", "{{ 'x' | safe }}", "{{ 'x' | base64_decode }}",
    ],
)  # fmt: skip
def test_what_is_too_deep_too_long_or_not_among_the_few_things_allowed_is_a_flaw_at_once(text: str) -> None:
    begin = time.perf_counter()
    assert flaws_of_text(text, {})
    assert time.perf_counter() - begin < 1


def test_the_longest_text_is_none_too_many() -> None:
    assert flaws_of_text("x" * LONGEST, {}) == []


@given(st.text(alphabet="{}%| abfor.in'\"[]()\n<>if", max_size=80))
def test_whatever_is_written_is_a_text_or_has_flaws(text: str) -> None:
    if not flaws_of_text(text, {}):
        template_of(text, "en")

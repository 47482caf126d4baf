"""Messages in a program file: what may stand there, and what is said of everything else."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.errors import ProgramError
from stampcard.program.messages import MessageCap, read_cap
from stampcard.program.model import Program
from stampcard.program.reading import read_program
from stampcard.program.templates import READY

HEAD = """program: main
currency: EUR
timezone: Europe/Berlin
attributes: {birthday: date, colour: string}
wallets: {points: {}}
tiers: {by: spend, levels: {gold: 500}}
segments: {staff: {}}
campaigns: {spring: {}}
rules: [{id: buy, on: purchase, award: 1 per 1 EUR}]
"""


def read(messages: str, sending: str = "") -> Program:
    return read_program(f"{HEAD}messages:\n{messages}\n{sending}", "program.yaml")


def problems(messages: str, sending: str = "") -> list[str]:
    with pytest.raises(ProgramError) as refused:
        read(messages, sending)
    return [str(problem) for problem in refused.value.problems]


def test_what_is_left_out_has_the_documented_default() -> None:
    terms = read("  m: {on: sign_up, use: welcome}").messages["m"]
    assert (terms.enabled, terms.channels, terms.deliver, terms.purpose) == (
        True, ("email",), "first_that_works", "marketing",
    )  # fmt: skip
    assert (terms.digest, terms.at, terms.late, terms.keep.count) == (None, time(10), timedelta(days=2), 90)
    sending = read("  m: {on: sign_up, use: welcome}").sending
    assert (sending.language, sending.caps, sending.quiet, sending.confirm_within.count) == ("en", (), {}, 7)


def test_everything_that_may_be_said_is_read_and_survives_as_json() -> None:
    program = read(
        """  all:
    name: Everything
    enabled: false
    on: points_earned
    when: event.data.points > 10 && member.days > 3
    who: {tiers: [gold], segments: staff}
    campaign: spring
    channels: [sms, email, inbox]
    deliver: all
    purpose: surveys
    digest: 1 hour
    at: "09:30"
    late: none
    keep: 30 days
    link: https://shop.example/points
    question: {kind: choice, choices: [good, bad], texts: {en: How was it?, nl: Hoe was het?}}
    texts:
      en: {subject: "{{ points }} points", text: "Hello {{ member.first_name }}", short: Hi, html: "<p>{{ points }}</p>"}
      nl-BE: {subject: Dag, text: Dag}
  confirm: {on: consent_asked, use: opt_in, channels: [email, sms]}""",
        """sending:
  language: en
  channels: {email: mail}
  quiet: {sms: 21:00-08:00, email: none}
  caps: [3 per week, 1 per day by sms for marketing]
  allow: [boss@shop.example]
  address: Bean Street 1, Berlin
  page: https://shop.example/points
  logo: https://shop.example/logo.png
  colour: "#00ff00"
  layout: "<html>{{ content }}</html>"
  confirm_within: 3 days
  double_opt_in: [email, sms]
""",
    )
    assert Program.model_validate_json(program.model_dump_json()) == program
    terms, sending = program.messages["all"], program.sending
    assert (terms.late, terms.digest, terms.at) == (None, timedelta(hours=1), time(9, 30))
    assert (str(sending.quiet["sms"]), sending.quiet["email"]) == ("21:00-08:00", None)
    assert list(map(str, sending.caps)) == ["3 per week", "1 per day by sms for marketing"]


@pytest.mark.parametrize("written", ["sms", "[sms]"])
def test_one_channel_needs_no_list(written: str) -> None:
    assert read(f"  m: {{on: sign_up, use: welcome, channels: {written}}}").messages["m"].channels == ("sms",)


# Caps


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("3 per week", (3, timedelta(days=7), "", "")),
        ("1 per day by sms", (1, timedelta(days=1), "sms", "")),
        ("2 per month for marketing", (2, timedelta(days=30), "", "marketing")),
        ("2  per  month  by  email  for  marketing", (2, timedelta(days=30), "email", "marketing")),
        (" 9999 per day ", (9999, timedelta(days=1), "", "")),
    ],
)
def test_a_cap_is_read_as_people_say_it(written: str, read_as: tuple[Any, ...]) -> None:
    cap = read_cap(written)
    assert (cap.most, cap.window, cap.channel, cap.purpose) == read_as
    assert read_cap(str(cap)) == cap
    assert read_cap(cap) is cap


@pytest.mark.parametrize(
    "written",
    ["", "3", "0 per day", "3 a week", "3 per year", "10000 per day", "3 per week for marketing by sms", "-1 per day", 3, None, "3 per week by SMS"],
)  # fmt: skip
def test_what_is_no_cap_is_refused_with_examples(written: Any) -> None:
    with pytest.raises(ValueError, match="is no cap: write '3 per week', '1 per day by sms'"):
        read_cap(written)


@given(
    st.builds(
        lambda most, per, channel, purpose: MessageCap.model_validate(
            {"most": most, "per": per, "channel": channel, "purpose": purpose}
        ),
        st.integers(1, 9999),
        st.sampled_from(["day", "week", "month"]),
        st.sampled_from(["", "sms", "email", "x_1"]),
        st.sampled_from(["", "marketing", "by", "for"]),
    )
)
def test_every_cap_is_read_as_it_was_written(cap: MessageCap) -> None:
    assert read_cap(str(cap)) == cap


@pytest.mark.parametrize(
    ("sending", "found"),
    [
        ("{caps: 3 a week}", "12:17 sending.caps[0]: '3 a week' is no cap"),
        ("{caps: [3 per week, often]}", "12:30 sending.caps[1]: 'often' is no cap"),
        ("{quiet: {sms: 21-8}}", "12:24 sending.quiet.sms: '21-8' is no span of hours: write '08:00-11:00'"),
        ("{quiet: {sms: never}}", "12:24 sending.quiet.sms: 'never' is no span of hours"),
        ("{quite: {sms: none}}", "12:11 sending.quite: unknown setting, did you mean 'quiet'?"),
        ("{colour: red}", "12:19 sending.colour: 'red' is no colour: write # and six"),
        ("{layout: <p>Hello</p>}", "12:19 sending.layout: shows no text: write {{ content }} where that belongs"),
        ("{layout: '{{ content }} {{ colour | upcas }}'}", "12:46 sending.layout: unknown filter 'upcas', did you mean 'upcase'?"),
        ("{layout: '{{ content }} {{ contents }}'}", "12:37 sending.layout: nothing here is called 'contents', did you mean 'content'?"),
        ("{layout: '{{ content }} {{ points }}'}", "12:37 sending.layout: nothing here is called 'points'"),
        ("{language: klingon}", "12:21 sending.language: 'klingon' is no language: write its code"),
        ("{confirm_within: 3 weeks}", "12:27 sending.confirm_within: write a number"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_sending_is_said_at_its_place(sending: str, found: str) -> None:
    (problem,) = problems("  m: {on: sign_up, use: welcome}", f"sending: {sending}\n")
    assert problem.startswith(found)


# Settings of one


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("{on: sign_up, use: welcome, chanels: sms}", "11:34 messages.m.chanels: unknown setting, did you mean 'channels'?"),
        ("{on: sign_up, use: welcome, deliver: both}", "11:43 messages.m.deliver: 'both' is not one of all, first_that_works"),
        ("{on: sign_up, use: welcome, channels: []}", "11:44 messages.m.channels: "),
        ("{on: sign_up, use: welcome, enabled: 'yes'}", "11:43 messages.m.enabled: "),
        ("{on: sign_up, use: welcome, at: 25:00}", "11:38 messages.m.at: '25:00' is no time of day: write '10:00'"),
        ("{on: sign_up, use: welcome, late: soon}", "11:40 messages.m.late: write none, or a number of minutes, hours or days"),
        ("{on: sign_up, use: welcome, keep: 3 weeks}", "11:40 messages.m.keep: write a number"),
        ("{on: sign_up, use: welcome, campaign: sprnig}", "11:44 messages.m.campaign: unknown campaign 'sprnig', did you mean 'spring'?"),
        ("{on: sign_up, use: welcome, who: {tiers: golf}}", "11:47 messages.m.who.tiers: unknown tier 'golf', did you mean 'gold'?"),
        ("{on: sign_up, use: welcome, who: {segments: [stuff]}}", "11:50 messages.m.who.segments: unknown segment 'stuff', did you mean 'staff'?"),
        ("{on: sign_up, use: welcome, when: member.dys > 3}", "11:46 messages.m.when: unknown name 'member.dys', did you mean 'member.days'?"),
        ("{on: sign_up, use: welcome, when: event.data.points > 3}", "11:50 messages.m.when: unknown name 'event.data.points'"),
        ("{on: sign_up, use: welcome, within: 50}", "11:42 messages.m.within: only a message on reward_in_reach asks how many points"),
        ("{on: birthday, use: birthday, digest: 1 hour}", "11:44 messages.m.digest: what a day brings comes once: leave `digest` out"),
        ("{on: 3 days before points_expire, use: points_expiring, digest: 1 hour}", "11:70 messages.m.digest: what a day brings"),
        ("{use: welcome}", "11:6 messages.m.on: is missing"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_message_is_said_at_its_place(message: str, found: str) -> None:
    problem, *_ = problems(f"  m: {message}")
    assert problem.startswith(found)


# What it says


@pytest.mark.parametrize(
    ("message", "found"),
    [
        ("{on: sign_up}", "11:6 messages.m: says nothing: write `texts`, or `use` a ready-made text: welcome, opt_in,"),
        ("{on: sign_up, texts: {nl: {subject: a, text: b}}}", "11:27 messages.m.texts: lacks 'en', the language for members whose own is missing"),
        ("{on: sign_up, texts: {en: {text: b}}}", "11:32 messages.m.texts.en: a mail needs a `subject`"),
        ("{on: sign_up, texts: {en: {subject: a}}}", "11:32 messages.m.texts.en: has no `text`"),
        ("{on: sign_up, texts: {en: {subject: a, text: b}, English: {text: b}}}", "11:55 messages.m.texts.English: 'English' is no language"),
        ("{on: sign_up, texts: {en: {subject: a, text: b}, zzq: {subject: a, text: b}}}", "11:60 messages.m.texts.zzq: 'zzq' is no language: write a code such as en, nl or ar"),
        ("{on: sign_up, texts: {en: {subject: a, text: b, shrt: c}}}", "11:54 messages.m.texts.en.shrt: unknown setting, did you mean 'short'?"),
        ("{on: sign_up, use: welcom}", "11:25 messages.m.use: unknown ready-made text 'welcom', did you mean 'welcome'?"),
        ("{on: sign_up, use: tier_up}", "11:25 messages.m.use: the ready-made text 'tier_up' does not go with 'sign_up': nothing here is called 'tier'"),
        ("{on: sign_up, use: feedback}", "11:25 messages.m.use: the ready-made text 'feedback' does not go with 'sign_up': nothing here is called 'question'"),
        ("{on: tier_up, use: points_expiring}", "11:25 messages.m.use: the ready-made text 'points_expiring' does not go with 'tier_up'"),
        ("{on: 3 days after purchase, use: reward_issued}", "11:39 messages.m.use: the ready-made text 'reward_issued' does not go with '3 days after purchase'"),
    ],
)  # fmt: skip
def test_what_it_lacks_or_does_not_go_together_is_said_at_its_place(message: str, found: str) -> None:
    (problem,) = problems(f"  m: {message}")
    assert problem.startswith(found)


def test_a_text_by_sms_alone_needs_no_subject() -> None:
    assert (
        read("  m: {on: sign_up, channels: sms, texts: {en: {text: Hello}}}").messages["m"].texts["en"].text == "Hello"
    )


def test_the_language_that_must_be_there_is_the_one_of_the_program() -> None:
    message = "  m: {on: sign_up, texts: {nl: {subject: Dag, text: Dag}}}"
    assert read(message, "sending: {language: nl}\n").messages["m"].texts["nl"].text == "Dag"


def test_a_ready_made_text_needs_no_other_and_own_words_stand_before_it() -> None:
    program = read("  m: {on: sign_up, use: welcome, texts: {nl: {subject: Dag}}}")
    assert program.messages["m"].texts["nl"].text == ""


_ON = {
    "opt_in": "consent_asked", "points_earned": "points_earned", "points_expiring": "3 days before points_expire",
    "reward_issued": "reward_issued", "reward_expiring": "3 days before reward_expires", "tier_up": "tier_up",
    "tier_ending": "tier_ending", "birthday": "birthday", "win_back": "60 days after last_purchase", "link": "link_asked",
    "program_ending": "7 days before program_ends", "rewards": "by_hand", "invitation": "30 days after last_purchase",
}  # fmt: skip


@pytest.mark.parametrize("name", READY)
def test_every_ready_made_text_goes_with_what_it_is_for(name: str) -> None:
    more = ", question: {kind: score, texts: {en: How was it?}}" if name == "feedback" else ""
    ending = "state: ending\nending: {last_earn: 2026-12-01, last_redeem: 2026-12-31}\n"
    more += ", to: customers" if name == "invitation" else ""
    program = read(f"  m: {{on: {_ON.get(name, 'sign_up')}, use: {name}{more}}}", ending)
    assert program.messages["m"].use == name


# Liquid and HTML in it

LIQUID = """  m:
    on: sign_up
    texts:
      en:
        subject: "Hello {{ member.frist_name }}"
        text: |
          Hello,
            {{ member.first_name | upcas }} {{ balanc }}
        short: >-
          {{ programme.name }}
"""


def test_names_and_filters_that_are_not_there_are_said_with_their_line_column_and_what_is_meant() -> None:
    assert problems(LIQUID) == [
        "15:28 messages.m.texts.en.subject: nothing here is called 'member.frist_name', did you mean 'first_name'?",
        "18:36 messages.m.texts.en.text: unknown filter 'upcas', did you mean 'upcase'?",
        "18:48 messages.m.texts.en.text: nothing here is called 'balanc', did you mean 'balance'?",
        "19:16 messages.m.texts.en.short: nothing here is called 'programme', did you mean 'program'?",
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Hello\n{% if member.first_name %}\nyou\n", "19:14"),
        ("Hello\n  {% endif %}\n", "18:16"),
        ("Hello {{ member.first_name\n", "17:17"),
        ("{% for one in %}x{% endfor %}\n", "17:40"),
        ("a\nb {{ member.first_name | }}\n", "18:38"),
        ("{% include 'other' %}\n", "17:14"),
    ],
)
def test_bad_liquid_is_said_at_its_place(text: str, place: str) -> None:
    indented = "".join(f"          {line}\n" for line in text.splitlines())
    (problem,) = problems(
        f"  m:\n    on: sign_up\n    texts:\n      en:\n        subject: Hi\n        text: |\n{indented}"
    )
    assert problem.startswith(f"{place} messages.m.texts.en.text: not understood as Liquid: ")


def test_what_a_text_may_name_depends_on_what_the_message_is_on() -> None:
    for on, name in (
        ("points_earned", "points"),
        ("3 days before points_expire", "expires_on"),
        ("3 days before points_expire", "days"),
        ("reward_issued", "reward.code"),
        ("tier_up", "tier.before"),
        ("segment_entered", "segment.name"),
        ("consent_asked", "confirm_url"),
        ("answered", "event.score"),
        ("by_hand", "member.attributes.colour"),
        ("by_hand", "balances.points"),
    ):
        read(f"  m: {{on: {on}, texts: {{en: {{subject: Hi, text: '{{{{ {name} }}}}'}}}}}}")
        if name not in {"member.attributes.colour", "balances.points"}:
            (problem,) = problems(f"  m: {{on: sign_up, texts: {{en: {{subject: Hi, text: '{{{{ {name} }}}}'}}}}}}")
            assert "nothing here is called" in problem


def test_names_of_wallets_and_attributes_are_known() -> None:
    for wrong, meant in (("balances.point", "points"), ("member.attributes.color", "colour")):
        (problem,) = problems(f"  m: {{on: sign_up, texts: {{en: {{subject: Hi, text: '{{{{ {wrong} }}}}'}}}}}}")
        assert f"nothing here is called '{wrong}', did you mean '{meant}'?" in problem


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<mjml><mj-body><mj-section><mj-column>\n<mj-txt>Hi</mj-txt></mj-column></mj-section></mj-body></mjml>", "18:11 messages.m.texts.en.html: MJML has no 'mj-txt'"),
        ("<mjml><mj-body>\n<mj-section></mj-body></mjml>", "17:11 messages.m.texts.en.html: not readable as MJML: "),
        ("<p>\n  {{ member.frist_name }}</p>", "18:16 messages.m.texts.en.html: nothing here is called 'member.frist_name'"),
        ("<p>{% if %}</p>", "17:17 messages.m.texts.en.html: not understood as Liquid"),
    ],
)  # fmt: skip
def test_html_and_mjml_of_a_mail_are_looked_at_too(html: str, found: str) -> None:
    indented = "".join(f"          {line}\n" for line in html.splitlines())
    (problem,) = problems(
        f"  m:\n    on: sign_up\n    texts:\n      en:\n        subject: Hi\n        html: |\n{indented}        text: a\n"
    )
    assert problem.startswith(found)


# Questions


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("{kind: choice, texts: {en: How?}}", "11:45 messages.m.question: name the `choices` with `kind: choice`, and only there"),
        ("{kind: score, choices: [a], texts: {en: How?}}", "11:45 messages.m.question: name the `choices` with `kind: choice`"),
        ("{kind: text, choices: [a], texts: {en: How?}}", "11:45 messages.m.question: name the `choices` with `kind: choice`"),
        ("{kind: stars, texts: {en: How?}}", "11:52 messages.m.question.kind: 'stars' is not one of score, choice, text"),
        ("{kind: score, texts: {}}", "11:66 messages.m.question.texts: "),
        ("{kind: score}", "11:45 messages.m.question.texts: is missing"),
        ("{kind: score, texts: {en: 'How, {{ you }}?'}}", "11:77 messages.m.question.texts.en: a question is asked as it is written"),
    ],
)  # fmt: skip
def test_a_question_has_a_kind_its_words_and_its_choices(question: str, found: str) -> None:
    problem, *_ = problems(f"  m: {{on: sign_up, use: feedback, question: {question}}}")
    assert problem.startswith(found)

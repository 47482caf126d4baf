"""Messages at the command line: what became of them, how they look, sending to many, addresses that get none."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.applying.consenting import record_consent
from stampcard.applying.requests import Answer, adjust, create_member
from stampcard.applying.unit import Unit
from stampcard.cli.acting import act
from stampcard.domain.consents import Consent
from stampcard.settings import Settings, load_settings
from stampcard.storage.database import Database
from stampcard.storage.messages import load_messages, mark
from stampcard.storage.tables import job, message, outbox, suppression, switch
from stampcard.testing.applying import rows

Run = Callable[..., Result]
Data = Callable[..., Any]

PROGRAM = """\
program: main
name: Bean Club
currency: EUR
timezone: Europe/Berlin
wallets:
  points: {scale: 2}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
messages:
  welcome: {on: sign_up, use: welcome, purpose: transactional, channels: inbox}
  earned: {on: points_earned, use: points_earned, channels: [sms, inbox]}
  news:
    on: by_hand
    channels: [sms, email]
    texts:
      en: {subject: "News for {{ member.first_name }}", text: "Hello {{ member.first_name }}, look at [our shop](https://shop.example)"}
      nl: {subject: Nieuws, text: "Dag {{ member.first_name }}"}
  both: {on: by_hand, channels: [sms, inbox], deliver: all, use: welcome}
"""
CONNECTIONS = f"""
[http]
public_url = "https://loyalty.example"
[connections.app]
plugin = "inbox"
[connections.text]
plugin = "twilio"
account_sid = "AC{"0" * 32}"
auth_token = "a-token"
sender = "+14155552345"
price = 0.08
"""


@pytest.fixture(autouse=True)
def _channels(installed: Path, run: Run) -> None:
    """The program has messages, and there is an inbox and somebody who sends texts."""
    file = installed / "stampcard.toml"
    file.write_text(file.read_text() + CONNECTIONS)
    (installed / "letters.yaml").write_text(PROGRAM, encoding="utf8")
    applied = run("program", "apply", "letters.yaml")
    assert applied.exit_code == 0, applied.output


@pytest.fixture
def member(settings: Settings) -> Callable[..., str]:
    """Makes a member with a phone number who may say yes to texts: ``member("1", "sms", first_name="Ann")``."""

    def joins(unit: Unit, reference: str, told: dict[str, Any]) -> Answer:
        attributes = {"first_name": "Ann", "phone": f"+49151123456{reference}0", **told}
        id_ = create_member(unit, ("shop", reference), {name: of for name, of in attributes.items() if of})
        return Answer(status=201, body={"id": id_})

    def says(unit: Unit, id_: str, channel: str) -> Answer:
        now = unit.now
        said = Consent(channel=channel, purpose="marketing", state="given", at=now, recorded_at=now, source="form")
        record_consent(unit, id_, said)
        return Answer(status=200, body={})

    def make(reference: str, channel: str = "", **told: Any) -> str:
        settings = load_settings(None)
        id_ = str(act(settings, partial(joins, reference=reference, told=told)).body["id"])
        if channel:
            act(settings, partial(says, id_=id_, channel=channel))
        return id_

    return make


def refused(result: Result, *said: str) -> None:
    assert result.exit_code == 1, result.output
    for one in said:
        assert one in result.stderr


def messages(database: Database) -> list[tuple[str, str, str, str]]:
    found = rows(database, select(message).order_by(message.c.id))
    return [(row.name, row.channel, row.state, row.reason) for row in found]


def test_messages_are_listed_the_newest_first_and_by_what_is_asked(
    run: Run, data: Data, database: Database, member: Callable[..., str]
) -> None:
    ann, ben = member("1"), member("2", first_name="Ben")
    listed = run("message", "list")
    assert listed.exit_code == 0, listed.output
    header, *lines = listed.stdout.splitlines()
    assert header.split() == ["ID", "SINCE", "MESSAGE", "CHANNEL", "MEMBER", "STATE", "WHY"]
    assert [line.split()[3:] for line in lines] == [["welcome", "inbox", who, "waiting", "-"] for who in (ben, ann)]
    assert [one["member"] for one in data("message", "list")] == [ben, ann]
    assert [one["member"] for one in data("message", "list", "--member", "shop:1")] == [ann]
    assert [
        one["member"] for one in data("message", "list", "--member", ann, "--name", "welcome", "--channel", "inbox")
    ] == [ann]
    assert [one["member"] for one in data("message", "list", "--limit", "1")] == [ben]
    for option, value in (("--name", "earned"), ("--channel", "sms"), ("--state", "sent")):
        assert data("message", "list", option, value) == []
    (one,) = data("message", "list", "--state", "waiting", "--limit", "1")
    assert (one["state"], one["test"], one["parts"], one["purpose"]) == ("waiting", False, 0, "transactional")


@on_sqlite
def test_where_there_are_none_that_is_said(run: Run, data: Data) -> None:
    assert run("message", "list").stderr == "There is no such message.\n"
    assert data("message", "list") == []
    refused(run("message", "list", "--member", "shop:9"), "there is no member 'shop:9'")
    assert run("message", "list", "--limit", "0").exit_code == 2


def test_one_is_shown_with_everything_that_was_told_of_it(
    run: Run, data: Data, database: Database, settings: Settings, member: Callable[..., str]
) -> None:
    from stampcard.app import open_sealer

    ann = member("1")
    (row,) = rows(database, select(message))
    shown = run("message", "show", str(row.id))
    assert "DETAIL" not in shown.stdout
    assert ann in shown.stdout

    def tell(connection: Any) -> None:
        for second, (state, code) in enumerate([("sent", ""), ("delivered", ""), ("bounced", "550")]):
            one = load_messages(connection, "main", [row.id], open_sealer(settings), lock=True)[row.id]
            at = datetime(2026, 3, 10, 12, 0, second, tzinfo=UTC)
            mark(connection, "main", one, state, at, code, "no such mailbox" if code else "")

    database.write_now(tell)
    lines = run("message", "show", str(row.id)).stdout.splitlines()
    assert [line.split() for line in lines if "2026-03-10" in line] == [
        ["2026-03-10", "12:00:00Z", "sent", "-", "-"],
        ["2026-03-10", "12:00:01Z", "delivered", "-", "-"],
        ["2026-03-10", "12:00:02Z", "bounced", "550", "no", "such", "mailbox"],
    ]
    told = data("message", "show", str(row.id))
    assert (told["id"], told["state"]) == (str(row.id), "bounced")
    assert [(step["state"], step["code"]) for step in told["steps"]] == [
        ("sent", ""),
        ("delivered", ""),
        ("bounced", "550"),
    ]
    refused(run("message", "show", "7"), "there is no message '7'")
    assert run("message", "show", "seven").exit_code == 2


@on_sqlite
def test_the_report_is_that_of_the_reports(run: Run, data: Data, member: Callable[..., str]) -> None:
    member("1")
    mine, theirs = data("message", "report"), data("report", "messages")
    assert {**mine, "as_of": ""} == {**theirs, "as_of": ""}
    (row,) = mine["rows"]
    assert (row["message"], row["channel"], row["waiting"], row["left"]) == ("welcome", "inbox", 1, 0)
    assert run("message", "report", "--csv").stdout == run("report", "messages", "--csv").stdout
    assert run("message", "report", "--from", "2020-01-01", "--to", "2020-01-31").exit_code == 0
    refused(run("message", "report", "--program", "mian"), "main")


@on_sqlite
def test_a_message_is_looked_at_in_any_language_and_nothing_leaves(
    run: Run, data: Data, installed: Path, database: Database, member: Callable[..., str]
) -> None:
    ann = member("1", email="ann@example.com")
    before = messages(database)
    seen = run("message", "preview", "news", "--member", "shop:1")
    assert seen.exit_code == 0, seen.output
    assert seen.stderr == "To: ann@example.com   language: en, ltr\n"
    assert seen.stdout.startswith("Subject: News for Ann\n\nHello Ann, look at our shop: https://shop.example")
    dutch = data("message", "preview", "news", "--member", ann, "--language", "nl")
    assert (dutch["language"], dutch["subject"], dutch["text"].splitlines()[0]) == ("nl", "Nieuws", "Dag Ann")
    arabic = data("message", "preview", "earned", "--member", ann, "--language", "ar")
    assert (arabic["language"], arabic["direction"]) == ("ar", "rtl")
    unknown = data("message", "preview", "news", "--member", ann, "--language", "fi")
    assert unknown["language"] == "en"
    text = data("message", "preview", "news", "--member", ann, "--channel", "sms")
    assert (text["to"], text["subject"], text["html"]) == ("+4915112345610", "", "")
    assert text["text"] == "Hello Ann, look at our shop: https://shop.example"
    assert messages(database) == before

    wrote = run("message", "preview", "news", "--member", ann, "--html", "news.html")
    assert "wrote news.html" in wrote.stderr
    page = (installed / "news.html").read_text(encoding="utf-8")
    assert '<a href="https://shop.example"' in page
    assert "https://loyalty.example/u/" in page


@on_sqlite
def test_who_cannot_be_written_to_is_shown_without_an_address(run: Run, member: Callable[..., str]) -> None:
    member("1")
    seen = run("message", "preview", "news", "--member", "shop:1", "--channel", "email")
    assert "To: (no address)" in seen.stderr


@on_sqlite
def test_a_message_that_is_not_there_is_refused_with_what_may_be_meant(run: Run, member: Callable[..., str]) -> None:
    member("1")
    refused(
        run("message", "preview", "wellcome", "--member", "shop:1"),
        "there is no message 'wellcome'. Did you mean 'welcome'?",
    )
    refused(run("message", "test", "nwes", "--member", "shop:1", "--to", "+4915112345678"), "Did you mean 'news'?")
    refused(run("message", "send", "nwes", "--yes"), "Did you mean 'news'?")
    refused(run("message", "preview", "news", "--member", "shop:1", "--program", "other"), "there is no message 'news'")
    refused(run("message", "preview", "news", "--member", "shop:9"), "there is no member 'shop:9'")
    refused(run("message", "preview", "news", "--member", "m_nobody"), "there is no member 'm_nobody'")
    assert run("message", "preview", "news").exit_code == 2


def test_a_trial_goes_to_one_address_whatever_anybody_agreed_to(
    run: Run, data: Data, database: Database, member: Callable[..., str]
) -> None:
    ann = member("1")
    tried = run(
        "message", "test", "news", "--member", ann, "--to", "+4915199999999", "--channel", "sms", "--language", "nl"
    )
    assert tried.exit_code == 0, tried.output
    (one,) = data("message", "list", "--name", "news")
    assert tried.stdout == f"the message {one['id']} is on its way; look: stampcard message show {one['id']}\n"
    assert (one["test"], one["channel"], one["connection"], one["state"]) == (True, "sms", "text", "waiting")
    assert "ready" in [row.status for row in rows(database, select(outbox).where(outbox.c.id == int(one["id"])))]
    assert [row["message"] for row in data("message", "report")["rows"]] == ["welcome"]


@on_sqlite
def test_a_trial_by_a_channel_that_nobody_sends_by_is_refused(run: Run, member: Callable[..., str]) -> None:
    member("1")
    refused(
        run("message", "test", "news", "--member", "shop:1", "--to", "a@b.example"), "no connection sends by 'email'"
    )


def test_sending_to_all_shows_first_what_it_comes_to_and_is_done_only_on_a_yes(
    run: Run, data: Data, database: Database, member: Callable[..., str]
) -> None:
    member("1", "sms")
    member("2", "sms", first_name="B" * 160)
    member("3")
    member("4", phone="")
    before = len(messages(database))
    asked = run("message", "send", "news", input="n\n")
    assert asked.exit_code == 1
    assert asked.stderr.startswith(
        "4 members are meant.\n  2 by sms\n  2 will get nothing: no_channel\n  3 parts of texts, about 0.24 EUR\nSend it?"
    )
    assert "being sent" not in asked.output
    assert rows(database, select(job).where(job.c.name.like("mail:%"))) == []
    assert run("message", "send", "news", input="").exit_code == 1

    for more, typed in (((), "y\n"), (("--yes",), None)):
        sent = run("message", "send", "news", *more, input=typed)
        assert sent.exit_code == 0, sent.output
        assert "news is being sent. Stop it: stampcard stop message main/news\n" in sent.stdout
    begun = rows(database, select(job).where(job.c.name.like("mail:main:news:%")))
    assert len({row.name for row in begun}) == 2
    assert [row.ended_at for row in begun] == [None, None]
    # Nothing is written down by the command itself.
    assert len(messages(database)) == before


def test_what_is_told_to_stop_a_large_send_does(run: Run, database: Database) -> None:
    told = run("message", "send", "news", "--yes").stdout.rpartition("stampcard ")[2].split()
    stopped = run(*told, "--note", "a typo")
    assert stopped.exit_code == 0, stopped.output
    assert "message main/news is stopped" in stopped.stdout
    assert [row.target for row in rows(database, select(switch))] == ["message:main/news"]
    assert "works again" in run("start", "message", "news").stdout


@on_sqlite
def test_who_is_reached_by_one_of_several_channels_is_not_said_to_get_nothing(
    run: Run, member: Callable[..., str]
) -> None:
    member("1")
    member("2", "sms")
    asked = run("message", "send", "both", input="n\n").stderr.splitlines()
    assert (asked[0], set(asked[1:3])) == ("2 members are meant.", {"  1 by sms", "  2 by inbox"})
    assert not any("will get nothing" in line for line in asked)


@on_sqlite
def test_only_what_people_send_is_sent_by_people(run: Run) -> None:
    refused(
        run("message", "send", "welcome", "--yes"),
        "welcome goes by itself, on sign_up: only one on by_hand is sent by people",
    )
    assert run("message", "send").exit_code == 2


def test_a_person_settles_what_nobody_could_tell(
    run: Run, data: Data, database: Database, member: Callable[..., str]
) -> None:
    member("1")
    member("2")

    def lost(connection: Any) -> None:
        connection.execute(update(message).values(state="unknown"))
        connection.execute(update(outbox).values(status="unknown"))

    database.write_now(lost)
    first, second = (one["id"] for one in data("message", "list", "--state", "unknown"))
    assert run("message", "settle", first, "--left").stdout == f"the message {first} left\n"
    assert (
        run("message", "settle", second, "--not-left").stdout
        == f"the message {second} did not leave, and is sent now\n"
    )
    assert [data("message", "show", one)["state"] for one in (first, second)] == ["sent", "waiting"]
    status = {str(row.id): row.status for row in rows(database, select(outbox)) if str(row.id) in {first, second}}
    assert status == {first: "done", second: "ready"}
    refused(run("message", "settle", first, "--left"), "the message is sent: there is nothing to find out")
    refused(run("message", "settle", "7", "--left"), "there is no message '7'")
    assert run("message", "settle", second).exit_code == 2


def test_addresses_that_get_nothing_are_listed_added_and_let_go(run: Run, data: Data, database: Database) -> None:
    assert run("message", "suppression", "list").stderr == "Every address gets messages.\n"
    assert data("message", "suppression", "list") == []
    added = run("message", "suppression", "add", "Ann@Example.com", "--note", "asked on the phone")
    assert added.stdout == "Ann@Example.com gets nothing more by email\n", added.output
    assert run("message", "suppression", "add", "+49 151 12345678", "--channel", "sms").exit_code == 0
    # Once more changes nothing, however it is written.
    assert run("message", "suppression", "add", " ann@example.com ").exit_code == 0
    assert run("message", "suppression", "add", "+4915112345678", "--channel", "sms").exit_code == 0
    assert len(rows(database, select(suppression))) == 2
    refused(run("message", "suppression", "add", "0151 12345678", "--channel", "sms"), "is no phone number")
    refused(run("message", "suppression", "add", "ann"), "is no e-mail address")

    header, *lines = run("message", "suppression", "list").stdout.splitlines()
    assert header.split() == ["CHANNEL", "ADDRESS", "WHY", "SINCE", "BY"]
    assert {tuple(line.split()[:2]) for line in lines} == {("email", "Ann@Example.com"), ("sms", "+49")}
    (one,) = data("message", "suppression", "list", "--channel", "email")
    assert (one["address"], one["reason"], one["source"], one["note"]) == (
        "Ann@Example.com", "hand", "cli", "asked on the phone",
    )  # fmt: skip
    assert len(data("message", "suppression", "list", "--limit", "1")) == 1

    gone = run("message", "suppression", "remove", "ANN@example.com")
    assert gone.stdout == "ANN@example.com gets messages by email again\n"
    refused(run("message", "suppression", "remove", "ANN@example.com"), "there is no suppression 'ANN@example.com'")
    refused(run("message", "suppression", "remove", "+4915112345678"), "there is no suppression")
    assert run("message", "suppression", "remove", "0049 151 12345678", "--channel", "sms").exit_code == 0
    assert data("message", "suppression", "list") == []


@on_sqlite
def test_who_is_held_back_is_counted_so_before_a_large_send(run: Run, member: Callable[..., str]) -> None:
    member("1", "sms")
    assert "1 by sms" in run("message", "send", "both", input="n\n").stderr
    assert run("message", "suppression", "add", "+49 (151) 123456-10", "--channel", "sms").exit_code == 0
    told = run("message", "send", "both", input="n\n").stderr
    assert "by sms" not in told
    assert "1 by inbox" in told


@on_sqlite
def test_points_that_were_earned_are_told_by_the_first_channel_that_works(
    data: Data, settings: Settings, member: Callable[..., str]
) -> None:
    ann = member("1")
    act(settings, lambda unit: _given(unit, ann))
    assert {(one["name"], one["channel"]) for one in data("message", "list", "--member", ann)} == {
        ("welcome", "inbox"),
        ("earned", "sms"),
    }


def _given(unit: Unit, member: str) -> Answer:
    adjust(unit, member, "points", 500, "gift", "a gift")
    return Answer(status=200, body={})


@on_sqlite
def test_what_other_programs_read_is_json(run: Run, member: Callable[..., str]) -> None:
    member("1")
    for arguments in (("list",), ("report",), ("suppression", "list"), ("preview", "news", "--member", "shop:1")):
        result = run("message", *arguments, "--json")
        assert result.exit_code == 0, result.output
        json.loads(result.stdout)


@on_sqlite
def test_what_nobody_knows_is_refused_with_what_is_known(
    run: Run, database: Database, member: Callable[..., str]
) -> None:
    member("1")
    refused(run("message", "list", "--state", "foo"), "'foo' is none of waiting, attempting, unknown, dropped")
    refused(run("message", "list", "--member", "nope"), "there is no member 'nope'")
    refused(
        run("message", "suppression", "add", "ann@example.com", "--channel", "emial"),
        "'emial' is none of email, inbox, sms",
    )
    refused(
        run("message", "test", "earned", "--to", "0151 1", "--channel", "sms", "--member", "shop:1"),
        "'0151 1' is no phone number",
    )
    assert rows(database, select(suppression)) == []


@on_sqlite
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("sending: {page: 'javascript:alert(1)'}", "is no such address: write https://"),
        ("sending: {page: 'http://shop.example'}", "is no such address: write https://"),
        ("sending: {page: 'https://'}", "is no such address: write https://"),
        ("sending: {logo: '//shop.example/logo.png'}", "is no such address: write https://"),
        ("sending: {logo: 'https://[::1'}", "is no such address: write https://"),
        ("sending: {page: '', logo: 'https://shop.example/logo.png'}", ""),
        ("sending: {page: 'http://localhost:8000/club', logo: 'http://127.0.0.1/logo.png'}", ""),
        ("  m: {on: sign_up, use: welcome, link: 'javascript:alert(1)'}", "leads nowhere"),
        ("  m: {on: sign_up, use: welcome, link: 'JavaScript://[alert(1)'}", "leads nowhere"),
        ('  m: {on: sign_up, use: welcome, link: "java\\tscript:alert(1)"}', "leads nowhere"),
        ("  m: {on: sign_up, use: welcome, link: 'data:text/html,x'}", "leads nowhere"),
        ("  m: {on: sign_up, use: welcome, link: 'vbscript:x'}", "leads nowhere"),
        ("  m: {on: sign_up, use: welcome, link: 'file:///etc/passwd'}", "leads nowhere"),
        ("  m: {on: sign_up, use: welcome, link: '//evil.example'}", "leads nowhere"),
        ("  m: {on: sign_up, use: welcome, link: 'club'}", "leads nowhere"),
        ("  m: {on: sign_up, use: welcome, link: 'https://'}", "leads nowhere"),
        ("  m: {on: sign_up, use: welcome, link: '/club?a=b'}", ""),
        ("  m: {on: sign_up, use: welcome, link: 'beanclub://points'}", ""),
        ("  m: {on: sign_up, use: welcome, link: 'http://shop.example/club'}", ""),
        (
            "  m: {on: sign_up, use: feedback, question: {kind: text, texts: {en: 'Well, {{ member.first_name }}?'}}}",
            "a question is asked as it is written: leave {{ … out",
        ),
        ("  m: {on: sign_up, use: feedback, question: {kind: text, texts: {en: '{% if x %}'}}}", "leave {% … out"),
    ],
)
def test_where_messages_lead_and_what_they_ask_is_looked_at_when_it_is_saved(
    run: Run, tmp_path: Path, line: str, found: str
) -> None:
    file = tmp_path / "more.yaml"
    file.write_text(f"{PROGRAM}{line}\n", encoding="utf8")
    checked = run("program", "check", str(file))
    assert (checked.exit_code == 0) == (not found), checked.output
    assert found in " ".join(checked.output.split())

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.applying.requests import Answer, record_event
from stampcard.applying.unit import Unit
from stampcard.cli.acting import act
from stampcard.clock import SystemClock
from stampcard.domain.events import CustomEvent
from stampcard.settings import load_settings
from stampcard.storage.database import Database
from stampcard.storage.tables import push

Run = Callable[..., Result]
Data = Callable[..., Any]
Join = Callable[[str], str]


def points(data: Data, member: str) -> int:
    return int(data("member", "show", member)["balances"]["points"]["active"])


@on_sqlite
def test_where_nobody_is_a_member_that_is_said(run: Run) -> None:
    result = run("member", "list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There is no member yet.\n")


@on_sqlite
def test_members_are_listed_a_page_at_a_time(run: Run, data: Data, join: Join) -> None:
    ids = sorted(join(reference) for reference in ("7", "8", "9"))
    assert [one["id"] for one in data("member", "list")] == ids
    page = run("member", "list", "--limit", "2")
    assert [line.split()[0] for line in page.stdout.splitlines()] == ["ID", *ids[:2]]
    assert f"stampcard member list --after {ids[1]}" in page.stderr
    assert [one["id"] for one in data("member", "list", "--after", ids[1])] == ids[2:]


@on_sqlite
def test_a_member_is_shown_by_id_or_by_what_the_shop_calls_them(run: Run, data: Data, join: Join) -> None:
    ann = join("7")
    view = data("member", "show", "shop:7")
    assert (view["id"], view["programs"]) == (ann, ["main"])
    assert view["identities"] == [{"connection": "shop", "reference": "7"}]
    assert f"member       {ann}" in run("member", "show", ann).stdout
    unknown = run("member", "show", "shop:8")
    assert (unknown.exit_code, unknown.stderr) == (1, "error: there is no member 'shop:8'\n")
    assert run("member", "show", "m_nobody").exit_code == 1


@on_sqlite
def test_points_are_adjusted_by_hand_in_both_directions_with_a_reason(run: Run, data: Data, join: Join) -> None:
    ann = join("7")
    given = run("member", "adjust", "shop:7", "points", "1250", "--reason", "a gift")
    assert given.exit_code == 0, given.output
    assert given.stdout.endswith(f": member {ann} has 12.50 active in 'points' now\n")
    taken = data("member", "adjust", ann, "points", "-50", "--reason", "a mistake")
    assert taken["balance"]["active"] == points(data, ann) == 1200
    assert run("member", "adjust", ann, "points", "5").exit_code == 2
    blank = run("member", "adjust", ann, "points", "5", "--reason", " ")
    assert (blank.exit_code, points(data, ann)) == (1, 1200)


@on_sqlite
def test_a_spend_is_cancelled_by_its_key_and_once_only(run: Run, data: Data, join: Join) -> None:
    ann = join("7")
    run("member", "adjust", ann, "points", "100", "--reason", "a gift")
    spent = data("member", "spend", ann, "points", "30", "--reference", "receipt-1")
    assert (spent["key"], spent["balance"]["active"], points(data, ann)) == ("receipt-1", 70, 70)
    assert run("member", "spend", ann, "points", "30", "--reference", "receipt-1").exit_code == 1
    assert data("member", "cancel-spend", "receipt-1")["balance"]["active"] == points(data, ann) == 100
    again = run("member", "cancel-spend", "receipt-1")
    assert (again.exit_code, points(data, ann)) == (1, 100)
    assert run("member", "cancel-spend", "receipt-2").exit_code == 1


@on_sqlite
def test_nobody_spends_more_than_there_is(run: Run, data: Data, join: Join) -> None:
    ann = join("7")
    result = run("member", "spend", ann, "points", "30")
    assert (result.exit_code, result.stderr) == (1, "error: 30 points were asked for, 0 are active\n")
    assert run("member", "spend", ann, "cups", "30").stderr == "error: there is no wallet 'cups'\n"


@on_sqlite
def test_what_changes_is_marked_to_be_sent_to_the_shop(run: Run, database: Database, join: Join) -> None:
    ann = join("7")
    run("member", "adjust", ann, "points", "100", "--reason", "a gift")
    marks = database.read_now(lambda connection: connection.execute(select(push)).all())
    assert [(row.connection, row.kind, row.member, row.wanted, row.sent) for row in marks] == [
        ("shop", "balance", ann, 2, 0)
    ]


@on_sqlite
def test_an_erased_member_is_gone_and_only_after_asking(run: Run, join: Join) -> None:
    ann = join("7")
    refused = run("member", "erase", ann, input="n\n")
    assert refused.exit_code == 1
    assert run("member", "show", ann).exit_code == 0
    assert run("member", "erase", "shop:7", "--yes").stdout == f"member {ann} is erased\n"
    assert run("member", "show", ann).exit_code == 1
    assert run("member", "erase", ann, "--yes").exit_code == 1


@on_sqlite
@pytest.mark.parametrize("points", ["0", "x"])
def test_a_spend_is_of_a_whole_number_above_0(run: Run, join: Join, points: str) -> None:
    assert run("member", "spend", join("7"), "points", points).exit_code == 2


@on_sqlite
def test_a_member_is_explained_in_words_and_for_programs(run: Run, data: Data, join: Join) -> None:
    ann = join("7")
    assert "nothing is limited" in run("member", "explain", ann).stderr
    run("member", "adjust", ann, "points", "1250", "--reason", "a gift")
    assert run("member", "explain", "shop:7").stdout.splitlines() == [
        "Wallet 'points': 12.50 can be spent.",
        "Lot 1 of 'points': 12.50 points never expire.",
    ]
    told = data("member", "explain", ann)
    assert [wallet["lots"][0]["words"] for wallet in told["wallets"]] == ["12.50 points never expire"]
    assert run("member", "explain", "shop:8").exit_code == 1


@on_sqlite
def test_a_members_time_is_listed_newest_first_a_page_at_a_time(run: Run, data: Data, join: Join) -> None:
    ann = join("7")
    for reason in ("first", "second"):
        run("member", "adjust", ann, "points", "100", "--reason", reason)
    page = data("member", "timeline", ann, "--limit", "2")
    assert [item["note"] for item in page["items"]] == ["second", "first"]
    older = data("member", "timeline", ann, "--cursor", page["next"])
    assert {item["kind"] for item in older["items"]} == {"customer_seen", "joined"}
    said = run("member", "timeline", "shop:7", "--limit", "1")
    assert "1.00 points added by hand: second" in said.stdout
    assert "stampcard member timeline shop:7 --cursor " in said.stderr


@on_sqlite
def test_a_members_time_says_why_an_event_paid_nothing(run: Run, join: Join, installed: Path) -> None:
    ann = join("7")
    (installed / "program.yaml").write_text(
        "program: main\ncurrency: EUR\ntimezone: Europe/Berlin\nwallets: {points: {scale: 2}}\n"
        "rules: [{id: review, on: review, when: event.data.stars >= 3, award: 5}]\n"
    )
    run("program", "apply", "program.yaml")

    def work(unit: Unit) -> Answer:
        event = CustomEvent(name="review", customer="7", key="r1", occurred_at=SystemClock().now(), data={"stars": 1})
        return Answer(status=200, body={"member": record_event(unit, event, "shop")})

    assert act(load_settings(), work).body == {"member": ann}

    (line,) = (one for one in run("member", "timeline", ann).stdout.splitlines() if "custom_event" in one)
    assert line.endswith(
        "Event 'review' of 'shop'. Rule 'review' does not apply: its condition is not true: event.data.stars >= 3."
    )


def test_a_member_is_put_on_hold_and_let_go(run: Run, data: Data, join: Join) -> None:
    member = join("7")
    assert "Nobody is on hold." in run("member", "held").stderr
    assert "is on hold" in run("member", "hold", member, "--reason", "returns everything").stdout
    assert [one["member"] for one in data("member", "held")] == [member]
    assert "returns everything" in run("member", "held").stdout
    assert "on hold      returns everything" in run("member", "show", member).stdout
    assert "goes on; orders decided again: 0" in run("member", "release", member).stdout
    refused = run("member", "release", member)
    assert (refused.exit_code, "not on hold" in refused.stderr) == (1, True)


@on_sqlite
def test_what_a_member_agrees_to_is_written_down_and_shown(run: Run, data: Data, join: Join) -> None:
    member = join("7")
    assert "Nothing is known" in run("member", "consents", member).stderr
    said = run("member", "consent", "shop:7", "email.marketing", "given", "--source", "a call", "--text", "v3")
    assert said.stdout == f"member {member}: email.marketing is given\n"
    shown = run("member", "consents", member).stdout
    assert "email.marketing          given" in shown
    (kept,) = data("member", "consents", member)
    assert (kept["state"], kept["source"], kept["text"], kept["author"]) == ("given", "a call", "v3", "cli")
    assert run("member", "consent", member, "email", "given", "--source", "x").exit_code == 2
    assert run("member", "consent", member, "email.marketing", "maybe", "--source", "x").exit_code == 2


def test_everything_of_a_member_is_printed(run: Run, join: Join) -> None:
    member = join("7")
    exported = json.loads(run("member", "export", "shop:7").stdout)
    assert (exported["member"], exported["tables"]["identity"][0]["reference"]) == (member, "7")

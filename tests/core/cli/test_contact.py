"""Contacts of CRMs are listed, linked and parted from the command line, and conflicts are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.databases import on_sqlite
from typer.testing import Result

from stampcard.app import open_sealer
from stampcard.settings import Settings
from stampcard.storage.contacts import Contact, Dispute, load_contacts, save_candidates, save_contacts, save_disputes
from stampcard.storage.database import Database
from stampcard.testing.building import NOON

Run = Callable[..., Result]


@pytest.fixture
def known(database: Database, settings: Settings, join: Callable[[str], str]) -> dict[str, str]:
    """Two members, a contact of one of them, and two that are open."""
    members = {"ann": join("1"), "ben": join("2")}
    ann = members["ann"]
    found = [
        Contact(connection="crm", reference="C1", state="linked", member=ann, made="there", at=NOON),
        Contact(connection="crm", reference="C2", state="doubtful", why="several", at=NOON),
        Contact(connection="crm", reference="C3", state="skipped", why="nobody", at=NOON),
    ]
    dispute = Dispute(
        connection="crm", reference="C1", member=ann, field="first_name", rule="theirs", kept="theirs", at=NOON,
        ours="Ann", theirs="Augusta", id=1,
    )  # fmt: skip
    database.write_now(lambda c: save_contacts(c, "main", found))
    database.write_now(lambda c: save_candidates(c, "main", {("crm", "C2"): members.values()}))
    database.write_now(lambda c: save_disputes(c, "main", open_sealer(settings), [dispute]))
    return members


@on_sqlite
def test_contacts_are_listed_by_state_and_reason(run: Run, data: Callable[..., Any], known: dict[str, str]) -> None:
    doubtful = run("contact", "list", "crm")
    assert doubtful.exit_code == 0, doubtful.output
    header, row = (line.split() for line in doubtful.stdout.splitlines())
    assert header == ["CONTACT", "WHY", "MAY", "BE", "SINCE"]
    assert row[:2] == ["C2", "several"]
    assert set(known.values()) == {text.strip(",") for text in row[2:4]}
    assert "Decide: stampcard contact link crm CONTACT MEMBER, or stampcard contact part crm" in doubtful.stderr
    (linked,) = data("contact", "list", "crm", "--state", "linked")
    assert (linked["reference"], linked["member"], linked["made"], linked["candidates"]) == (
        "C1", known["ann"], "there", [],
    )  # fmt: skip
    assert [one["reference"] for one in data("contact", "list", "crm", "--state", "skipped", "--why", "nobody")] == [
        "C3"
    ]


@on_sqlite
def test_where_there_are_none_that_is_said(run: Run, data: Callable[..., Any], known: dict[str, str]) -> None:
    assert known
    assert run("contact", "list", "crm", "--why", "unverified").stderr.strip() == (
        "No contact of crm is doubtful because of unverified."
    )
    assert run("contact", "list", "other").stderr.strip() == "No contact of other is doubtful."
    assert data("contact", "list", "other") == []
    assert "none of linked, doubtful, skipped, gone" in run("contact", "list", "crm", "--state", "lost").stderr
    assert run("contact", "conflicts", "other").stderr.strip() == "Both sides never said different things of one field."
    assert data("contact", "conflicts", "other") == []


@on_sqlite
def test_a_contact_is_linked_and_parted(run: Run, database: Database, known: dict[str, str]) -> None:
    ben = known["ben"]
    linked = run("contact", "link", "crm", "C2", "shop:2")
    assert linked.stdout == f"the contact C2 of crm is {ben}\n", linked.output
    found = database.read_now(lambda c: load_contacts(c, "main", [("crm", "C2")]))["crm", "C2"]
    assert (found.state, found.member) == ("linked", ben)
    assert run("contact", "link", "crm", "C2", ben).exit_code == 0
    parted = run("contact", "part", "crm", "C2")
    assert parted.stdout == "the contact C2 of crm is nobody here\n"
    found = database.read_now(lambda c: load_contacts(c, "main", [("crm", "C2")]))["crm", "C2"]
    assert (found.state, found.why, found.member) == ("skipped", "by_hand", None)


@on_sqlite
def test_what_stands_in_the_way_is_said(run: Run, known: dict[str, str]) -> None:
    ann, ben = known["ann"], known["ben"]
    for arguments, told in (
        (("link", "crm", "C1", ben), f"the contact C1 is {ann}: part them first"),
        (("link", "crm", "C3", ann), f"{ann} is the contact C1 at crm: part them first"),
        (("link", "crm", "C9", ann), "crm:C9"),
        (("link", "crm", "C3", "shop:9"), "shop:9"),
        (("part", "crm", "C9"), "crm:C9"),
    ):
        failed = run("contact", *arguments)
        assert failed.exit_code != 0
        assert told in failed.stderr


def test_conflicts_show_both_sides_and_what_came_of_it(
    run: Run, data: Callable[..., Any], known: dict[str, str]
) -> None:
    header, row = (line.split() for line in run("contact", "conflicts").stdout.splitlines())
    assert header == ["AT", "CRM", "CONTACT", "MEMBER", "FIELD", "OURS", "THEIRS", "RULE", "KEPT"]
    assert row[-8:] == ["crm", "C1", known["ann"], "first_name", "Ann", "Augusta", "theirs", "theirs"]
    (one,) = data("contact", "conflicts", "crm", "--member", "shop:1")
    assert (one["ours"], one["theirs"], one["kept"]) == ("Ann", "Augusta", "theirs")
    assert data("contact", "conflicts", "--member", known["ben"]) == []

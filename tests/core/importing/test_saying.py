"""Consents and addresses that get no messages are brought in silently, once, and go out as they come in, on both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select
from tests.databases import on_sqlite

from stampcard.applying.consenting import record_consent
from stampcard.applying.erasing import erase_members
from stampcard.applying.merging import merge
from stampcard.applying.requests import change_attributes, create_member
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.consents import Consent, current
from stampcard.domain.imports import REASONS
from stampcard.errors import Conflict, RequestRefused
from stampcard.importing import running
from stampcard.importing.files import line_of
from stampcard.importing.options import looked_at, supposed
from stampcard.importing.presets import CONSENT_FIELDS, SUPPRESSION_FIELDS
from stampcard.storage.consenting import load_consents
from stampcard.storage.database import Database
from stampcard.storage.importing import refused_codes
from stampcard.storage.tables import consent, event, imported, message, outbox, push, suppression
from stampcard.storage.transcribing import Leaf, consents_after, suppressions_after
from stampcard.testing.applying import rows
from stampcard.testing.importing import PROGRAM, Desk

GUIDE = Path(__file__).parents[3] / "docs/how-to/move-from-another-platform.md"
HEADER = "reference,channel,purpose,state,at,source,text,ip"
SPEAKING = (
    PROGRAM
    + """
sending: {double_opt_in: email}
messages:
  confirm: {on: consent_asked, use: opt_in}
  mind: {on: segment_entered, texts: {en: {subject: Hello, text: Hello}}}
"""
).replace("member.tier == 'gold'", "'email.marketing' in member.consents")


def work(desk: Desk, act: Callable[[Unit], Any]) -> Any:
    def transaction(connection: Connection) -> Any:
        unit = Unit(connection, desk.setting, desk.clock.now())
        given = act(unit)
        unit.save()
        return given

    return desk.database.write_now(transaction)


def member(desk: Desk, reference: str, connection: str = "shop", **attributes: str) -> str:
    made = work(desk, lambda unit: create_member(unit, (connection, reference), attributes))
    return str(made)


def history(desk: Desk, of: str) -> list[Consent]:
    merchant, sealer = desk.setting.merchant, desk.setting.sealer
    return desk.database.read_now(lambda c: load_consents(c, merchant, [of], sealer, evidence=True)).get(of, [])


def states(desk: Desk, of: str) -> dict[str, str]:
    return {name: one.state for name, one in current(history(desk, of)).items()}


@on_sqlite
async def test_consents_come_with_their_evidence_and_the_newest_counts(desk: Desk) -> None:
    ann = member(desk, "1")
    intake = await desk.bring(
        HEADER,
        "1,email,marketing,withdrawn,2025-03-01T10:00:00Z,the counter,,",
        "1,EMAIL,marketing,Given,2025-02-01T10:00:00Z,checkout,v3,203.0.113.7",
        "1,sms,marketing,refused,2025-02-01,checkout,,",
        holds="consents",
    )
    assert (intake.state, intake.holds, intake.applied, intake.refused) == ("ended", "consents", 3, 0)
    said = history(desk, ann)[1]
    assert (said.source, said.text, said.ip, said.author) == ("checkout", "v3", "203.0.113.7", intake.subject)
    assert (said.at, said.recorded_at) == (datetime(2025, 2, 1, 10, tzinfo=UTC), desk.clock.now())
    assert states(desk, ann) == {"email.marketing": "withdrawn", "sms.marketing": "refused"}
    assert {row.kind for row in rows(desk.database, select(event).where(event.c.member == ann))} >= {"consent_changed"}


@on_sqlite
async def test_the_same_file_and_the_same_rows_change_nothing_and_what_was_said_since_counts(desk: Desk) -> None:
    ann = member(desk, "1")
    given = "1,email,marketing,given,2025-02-01T10:00:00.25Z,checkout,,"
    path = desk.file(HEADER, given, given)
    first = await desk.take(path, holds="consents")
    assert (first.applied, first.known) == (1, 1)
    assert (await desk.take(path, holds="consents")).id == first.id
    no = Consent(
        channel="email", purpose="marketing", state="withdrawn", at=desk.clock.now(), recorded_at=desk.clock.now()
    )
    work(desk, lambda unit: record_consent(unit, ann, no))
    again = await desk.bring(HEADER, given, "1,sms,marketing,given,2025-02-01,,,", holds="consents")
    assert (again.applied, again.known) == (1, 1)
    assert states(desk, ann) == {"email.marketing": "withdrawn", "sms.marketing": "given"}
    assert len(history(desk, ann)) == 3


async def test_nobody_is_sent_anything_and_nobody_asked_to_confirm(
    database: Database, setting: Setting, tmp_path: Path
) -> None:
    desk = Desk(database, setting, tmp_path, SPEAKING)
    ann, bob = member(desk, "1", email="ann@example.com"), member(desk, "2", email="bob@example.com")
    mine = message.c.merchant == desk.setting.merchant
    before = len(rows(database, select(message).where(mine)))
    intake = await desk.bring(
        HEADER,
        "1,email,marketing,pending,2025-02-01,form,,",
        "2,email,marketing,given,2025-02-01,form,,",
        holds="consents",
    )
    assert intake.applied == 2
    assert (states(desk, ann), states(desk, bob)) == ({"email.marketing": "pending"}, {"email.marketing": "given"})
    assert len(rows(database, select(message).where(mine))) == before
    assert rows(database, select(outbox).where(outbox.c.merchant == desk.setting.merchant)) == []
    assert desk.announced == []
    # The same by hand asks and tells.
    now = desk.clock.now()
    asked = Consent(channel="email", purpose="research", state="pending", at=now, recorded_at=now)
    work(desk, lambda unit: record_consent(unit, ann, asked))
    assert len(rows(database, select(message).where(mine))) > before


@on_sqlite
async def test_shop_and_crm_are_shown_what_is_new_unless_it_is_quiet(desk: Desk) -> None:
    ann, bob = member(desk, "1"), member(desk, "2")
    wanted = {row.member: row.wanted for row in rows(desk.database, select(push))}
    await desk.bring(HEADER, "1,email,marketing,given,2025-02-01,,,", holds="consents")
    await desk.bring(HEADER, "2,email,marketing,given,2025-02-01,,,", holds="consents", quiet=True)
    after = {row.member: row.wanted for row in rows(desk.database, select(push))}
    assert (after[ann] > wanted.get(ann, 0), after.get(bob)) == (True, wanted.get(bob))


async def test_members_are_found_by_id_reference_address_and_number_and_nobody_on_doubt(desk: Desk) -> None:
    ann = member(desk, "1", email="ann@example.com", phone="+49 30 1234567")
    bob = member(desk, "7", connection="till", email="both@example.com")
    cleo = member(desk, "3", email="both@example.com", phone="+4930765432")
    intake = await desk.bring(
        "member,connection,reference,email,phone,channel,purpose,state,at",
        f"{ann},,,,,email,a,given,2025-02-01",
        ",,1,,,email,b,given,2025-02-01",
        ",,,ANN@example.com,,email,c,given,2025-02-01",
        ",,,,+49 30 1234567,email,d,given,2025-02-01",
        "m_elsewhere,till,7,both@example.com,,email,a,given,2025-02-01",
        ",,,,0049 30 765432,email,a,given,2025-02-01",
        ",,,both@example.com,,email,a,given,2025-02-01",
        ",,99,,,email,a,given,2025-02-01",
        holds="consents",
    )
    assert (intake.applied, intake.refused) == (6, 2)
    assert set(states(desk, ann)) == {"email.a", "email.b", "email.c", "email.d"}
    assert (set(states(desk, bob)), set(states(desk, cleo))) == ({"email.a"}, {"email.a"})
    written = desk.errors.read_text()
    assert (
        "line 8: 'both@example.com' 2 members have this address; say which by the column member or reference" in written
    )
    assert "line 9: '99' is no member; import the members first, or leave the row out" in written
    merchant = desk.setting.merchant
    codes = desk.database.read_now(lambda c: refused_codes(c, merchant, intake.id))
    assert codes == {"ambiguous": 1, "unknown_member": 1}


async def test_whoever_was_merged_is_found_as_who_they_are_and_the_erased_are_not_brought_back(desk: Desk) -> None:
    ann, other = member(desk, "1", email="ann@example.com"), member(desk, "2", connection="till")
    bob = member(desk, "3", email="bob@example.com")
    work(desk, lambda unit: merge(unit, other, ann, by="hand", note=""))
    work(desk, lambda unit: erase_members(unit, [bob]))
    member(desk, "4", email="bob@example.com")
    intake = await desk.bring(
        "member,email,channel,purpose,state,at",
        f"{other},,email,marketing,given,2025-02-01",
        f"{bob},,email,marketing,given,2025-02-01",
        ",bob@example.com,email,marketing,given,2025-02-01",
        holds="consents",
    )
    assert (intake.applied, intake.refused) == (1, 2)
    assert states(desk, ann) == {"email.marketing": "given"}
    assert "this person was erased on 2026-03-10 and is not brought back" in desk.errors.read_text()


@on_sqlite
@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("1,email,marketing,yes,2025-02-01", "unknown state 'yes'"),
        ("1,email,marketing,given,2027-02-01", "'2027-02-01' lies ahead"),
        ("1,email,marketing,given,", "a consent needs at"),
        ("1,e mail,marketing,given,2025-02-01", "'e mail' is no name"),
        (",email,marketing,given,2025-02-01", "says of nobody who they are"),
        ("1,email,marketing,given", "has 4 cells where the first line has 5"),
    ],
)
async def test_a_consent_that_cannot_be_understood_is_refused(desk: Desk, cells: str, told: str) -> None:
    ann = member(desk, "1")
    intake = await desk.bring("reference,channel,purpose,state,at", cells, holds="consents")
    assert (intake.applied, intake.refused, history(desk, ann)) == (0, 1, [])
    assert told in desk.errors.read_text()


@on_sqlite
@pytest.mark.parametrize(
    ("header", "more", "told"),
    [
        ("channel,purpose,state,at", {"holds": "consents"}, "=email, or =phone, or =reference, or =member"),
        ("email,channel,purpose,state", {"holds": "consents"}, "no column is at: --map COLUMN=at"),
        ("email,channel", {"holds": "suppressions"}, "no column says"),
        ("address", {"holds": "suppressions", "channel": "E mail"}, "--channel: 'E mail' is no name"),
        ("address,points", {"holds": "suppressions", "said": {"points": "points"}}, "unknown field 'points'"),
    ],
)
async def test_a_file_without_the_columns_is_refused_whole(
    desk: Desk, header: str, more: dict[str, Any], told: str
) -> None:
    with pytest.raises(RequestRefused) as refused:
        await desk.bring(header, "a,b,c,d", **more)
    assert told in str(refused.value)


async def test_a_dry_run_says_the_same_and_writes_nothing(desk: Desk) -> None:
    ann = member(desk, "1")
    yes = "1,email,marketing,given,2025-02-01,,,"
    path = desk.file(HEADER, yes, yes, "9,email,marketing,given,2025-02-01,,,", "1,email,,given,2025-02-01,,,")
    options = desk.options(holds="consents")
    sheet = await looked_at(path, options)
    trial = await desk.importer().try_out(supposed(path, sheet, "main", "shop", options), sheet)
    assert (trial.applied, trial.known, trial.refused) == (1, 1, 2)
    assert trial.reasons == {"unknown_member": 1, "missing": 1}
    assert history(desk, ann) == []


@on_sqlite
async def test_an_import_goes_on_where_it_stopped(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "STEP", 2)
    ann = member(desk, "1")
    path = desk.file(HEADER, *(f"1,email,p{n},given,2025-02-01,,," for n in range(5)))
    options = desk.options(holds="consents")
    sheet, importer = await looked_at(path, options), desk.importer()
    begun, _ = await importer.begin(path, sheet, "main", "shop", options)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await importer.run(begun, sheet, stop)
    ended = await desk.take(path, holds="consents")
    assert (ended.id, ended.applied, ended.known) == (begun.id, 5, 0)
    assert len(history(desk, ann)) == 5
    with pytest.raises(Conflict, match="goes on with"):
        await importer.run(begun, sheet)


@on_sqlite
async def test_what_people_said_is_not_taken_back(desk: Desk) -> None:
    member(desk, "1")
    for intake in (
        await desk.bring(HEADER, "1,email,marketing,given,2025-02-01,,,", holds="consents"),
        await desk.bring("address", "ann@example.com", holds="suppressions", channel="email"),
    ):
        with pytest.raises(Conflict, match="is not taken back; change single ones"):
            await desk.importer().undo(intake.id)


async def test_addresses_come_once_and_the_first_reason_stays(desk: Desk) -> None:
    intake = await desk.bring(
        "channel,address,reason,at,note",
        ",ann@example.com,,2025-02-01,from before",
        "sms,0049 30 1234567,unsubscribed,,",
        "email,ANN@example.com,bounced,,",
        "email,ann,,,",
        "sms,030 1234567,,,",
        "email,bob@example.com,angry,,",
        holds="suppressions",
        channel="email",
    )
    assert (intake.applied, intake.known, intake.refused) == (2, 1, 3)
    mine = select(suppression).where(suppression.c.merchant == desk.setting.merchant).order_by(suppression.c.channel)
    mail, text = rows(desk.database, mine)
    assert (mail.reason, mail.note, mail.source) == ("imported", "from before", intake.subject)
    assert (text.reason, text.at) == ("unsubscribed", int(desk.clock.now().timestamp()) * 10**6)
    again = await desk.bring("address,reason", "Ann@example.com,complained", holds="suppressions", channel="email")
    assert (again.applied, again.known) == (0, 1)
    assert [row.reason for row in rows(desk.database, mine)] == ["imported", "unsubscribed"]


def pages(desk: Desk, page: Callable[..., Leaf]) -> Iterator[Leaf]:
    after: Any = None
    while True:
        merchant, sealer, place = desk.setting.merchant, desk.setting.sealer, after
        leaf = desk.database.read_now(lambda c: page(c, merchant, sealer, place, 2))  # noqa: B023 - runs before the next turn
        yield leaf
        if leaf.after is None:
            return
        after = leaf.after


def exported(desk: Desk, page: Callable[..., Leaf], fields: Any) -> list[str]:
    lines = [line for leaf in pages(desk, page) for line in leaf.lines]
    return [
        line_of([*fields], ",").rstrip(),
        *(line_of([line[name] for name in fields], ",").rstrip() for line in lines),
    ]


async def test_what_goes_out_of_one_comes_into_another_with_the_same_members(
    desk: Desk, setting: Setting, tmp_path: Path
) -> None:
    other, empty = member(desk, "5", connection="till"), Desk(desk.database, setting, tmp_path)
    there = [member(desk, str(n), email=f"m{n}@example.com", phone=f"030/{n}") for n in range(3)] + [other]
    await desk.bring(
        HEADER,
        *(f'{n},email,marketing,{state},2025-0{n + 1}-0{m + 1}T10:00:00.12345Z,"a ""form"", or so",v3,203.0.113.7'
          for n in range(3) for m, state in enumerate(("given", "withdrawn", "pending", "refused")[: n + 2])),
        holds="consents",
    )  # fmt: skip
    await desk.bring("connection," + HEADER, "till,5,sms,marketing,given,2025-01-01,,,", holds="consents")
    await desk.bring(
        "channel,address,reason,at,note",
        "email,ann@example.com,bounced,2025-02-01,gone",
        "sms,+49301234567,,,",
        "email,cleo@example.com,,,",
        holds="suppressions",
    )
    here = [member(empty, str(n), email=f"m{n}@example.com") for n in range(3)] + [
        member(empty, "5", connection="till")
    ]

    lines = exported(desk, consents_after, CONSENT_FIELDS)
    brought = await empty.bring(*lines, holds="consents")
    assert (len(lines), brought.applied, brought.refused) == (11, 10, 0)
    for old, new in zip(there, here, strict=True):
        first, second = current(history(desk, old)), current(history(empty, new))
        told = [
            {name: (one.state, one.at, one.source, one.text, one.ip) for name, one in of.items()}
            for of in (first, second)
        ]
        assert told[0] == told[1] != {}
    again = await desk.bring(*lines, holds="consents")
    assert (again.applied, again.known) == (0, 10)

    lines = exported(desk, suppressions_after, SUPPRESSION_FIELDS)
    brought = await empty.bring(*lines, holds="suppressions")
    assert (len(lines), brought.applied, brought.refused) == (4, 3, 0)
    assert exported(empty, suppressions_after, SUPPRESSION_FIELDS) == lines


async def test_an_export_reads_a_page_at_a_time(desk: Desk) -> None:
    members = [member(desk, str(n)) for n in range(3)]
    await desk.bring(
        HEADER, *(f"{n},email,p{m},given,2025-02-01,,," for n in range(3) for m in range(3)), holds="consents"
    )
    found = list(pages(desk, consents_after))
    assert [len(leaf.lines) for leaf in found] == [2, 2, 2, 2, 1]
    assert [line["member"] for leaf in found for line in leaf.lines] == sorted(members * 3)
    assert len(rows(desk.database, select(consent).where(consent.c.merchant == desk.setting.merchant))) == 9


def test_the_guide_names_every_field_and_reason() -> None:
    text = GUIDE.read_text(encoding="utf8").partition("## Consents")[2]
    named = [*CONSENT_FIELDS, *SUPPRESSION_FIELDS, *REASONS]
    assert [name for name in named if f"`{name}`" not in text] == []


async def test_who_has_another_address_by_now_is_still_found_by_the_one_of_the_file(desk: Desk) -> None:
    await desk.bring("email", "ann@example.com")
    (ann,) = {row.member for row in rows(desk.database, select(imported)) if row.merchant == desk.setting.merchant}
    work(desk, lambda unit: change_attributes(unit, ann, {"email": "lee@example.com"}))
    said = "email,marketing,given,2025-02-01"
    await desk.bring("email,channel,purpose,state,at", f"ann@example.com,{said}", holds="consents")
    assert states(desk, ann) == {"email.marketing": "given"}

"""Everything that lies sealed is sealed anew, whatever wrote it, on both databases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, update

from stampcard.applying.messaging import suppress
from stampcard.applying.outgoing import queue
from stampcard.applying.requests import Answer, Once, answer, create_member
from stampcard.applying.setting import Setting
from stampcard.applying.unit import Unit
from stampcard.domain.audiences import Place
from stampcard.domain.commands import Command
from stampcard.domain.consents import Consent
from stampcard.domain.merges import Merge
from stampcard.domain.proofs import ProofRequest
from stampcard.domain.rewards import Redemption, Voucher
from stampcard.domain.tills import Act, Booked
from stampcard.engine.announcing import Planned
from stampcard.engine.world import Order, Pin
from stampcard.sealing import Sealer, new_key, new_key_text, read_keys
from stampcard.storage import (
    audiences,
    consenting,
    contacts,
    merging,
    messages,
    plugging,
    pooling,
    proving,
    resealing,
    rows,
    saving,
    stating,
    tills,
)
from stampcard.storage.commanding import CommandResult, settle_commands
from stampcard.storage.database import Database
from stampcard.storage.resealing import ABOUT, count_keys, next_step, write_step
from stampcard.storage.tables import inbox, member, metadata, outbox
from stampcard.testing.applying import store
from stampcard.testing.building import NOON
from stampcard.testing.importing import Desk

KEYS = new_key_text()
NEWER = KEYS.replace("\nseal ", f"\nseal {new_key()}\nseal ")


@pytest.fixture
def sealer() -> Sealer:
    return read_keys(KEYS)


@pytest.fixture
def newer() -> Sealer:
    return read_keys(NEWER)


def test_every_sealed_column_is_known() -> None:
    sealed = {
        (table.name, one.name) for table in metadata.sorted_tables for one in table.c if one.name.endswith("_sealed")
    }
    assert {(table, column) for table, columns in ABOUT.items() for column in columns} == sealed


def write(connection: Connection, setting: Setting) -> None:
    """Something in every sealed column, each by what writes it while Stampcard runs."""
    merchant, sealer, numbering = setting.merchant, setting.sealer, setting.numbering

    def join(unit: Unit) -> Answer:
        return Answer(status=201, body={"id": create_member(unit, ("shop", "7"), {"email": "ann@example.com"})})

    answer(connection, setting, Once(key="k", path="/members", body=b"{}"), NOON, join)
    said = Consent(channel="email", purpose="news", state="given", at=NOON, recorded_at=NOON, ip="192.0.2.1")
    consenting.save_consent(connection, merchant, sealer, 1, "m_1", said)
    record = merging.Record(
        parts={}, moved={}, awards=[], doubled=[], debits=[], counted=[], joined=[], before=[], tiers={}, segments=[],
        entered=[], filled=["email"], joined_at=0,
    )  # fmt: skip
    merging.save_merge(connection, merchant, sealer, Merge(id="g", source="m_2", target="m_1", at=NOON), record)
    asked = ProofRequest(
        id="p", member="m_1", program="main", name="nurse", status="open", asked_at=NOON, evidence={"card": "1"}
    )
    proving.save_requests(connection, merchant, sealer, [asked])
    order = Order(source="shop", reference="A", first_seen_at=NOON, pins={"main": Pin(version=1, member={"x": "y"})})
    saving.insert(connection, "order_state", [rows.order_row(merchant, order, 0, sealer)])
    voucher = Voucher(
        key="r", kind="amount_off", title="x", code="ANN-10", reference="7", currency="EUR", starts_at=NOON
    )
    given = Redemption(
        id="r", member="m_1", program="main", version=1, reward="off", kind="amount_off", gives="{}", by="shop",
        status="issued", created_at=NOON, voucher=voucher,
    )  # fmt: skip
    saving.insert(connection, "redemption", [rows.redemption_row(merchant, given, sealer)])
    pooling.add_codes(connection, merchant, sealer, "main", "off", ["POOL-1", "POOL-2"], NOON)
    queue(
        connection,
        setting,
        NOON,
        [("shop", Command(kind="message", key="c", member="m_1", reference="7", data={"a": "b"}))],
    )
    id_ = connection.execute(select(outbox.c.id).where(outbox.c.key == "c")).scalar_one()
    done = CommandResult(
        id=id_, key="c", status="done", attempts=0, tried=1, due_at=NOON, was="ready", result={"code": "X"}
    )
    settle_commands(connection, merchant, "shop", sealer, [done])
    dispute = contacts.Dispute(
        id=1, connection="crm", reference="9", member="m_1", field="phone", rule="theirs", kept="theirs", at=NOON,
        ours="+1", theirs="+2",
    )  # fmt: skip
    contacts.save_disputes(connection, merchant, sealer, [dispute])
    planned = Planned(
        program="main", name="hello", member="m_1", channel="email", connection="mail", purpose="news", occasion="o",
        due_at=NOON, until=None, says={"points": 1},
    )  # fmt: skip
    (number,) = messages.add_messages(connection, merchant, sealer, numbering, [planned], NOON)
    content = rows.seal_object(sealer, {"text": "Hello"}, messages.about_of(merchant, number))
    messages.change(connection, merchant, number, content_sealed=content, answer_sealed=content)
    suppress(connection, setting, "email", "ann@example.com", "bounced", NOON)
    audiences.doubt(connection, merchant, sealer, "ads", [("ann", Place("a1", "email", "0" * 64))])
    sale = Act(till="t", id="a", kind="enrol", at=NOON, phone="+49301234")
    assert tills.reserve(connection, merchant, sealer, sale, NOON)
    tills.save_booked(connection, merchant, sealer, Booked(act=sale, status="done", received_at=NOON, member="m_1"))
    plugged = plugging.Plugged(name="shop", plugin="shopify", settings={"t": "secret"}, added_at=NOON, changed_at=NOON)
    plugging.save_plugged(connection, merchant, sealer, plugged)
    assert numbering.next(NOON)


@pytest.fixture
async def filled(database: Database, setting: Setting, tmp_path: Path) -> Setting:
    store(database, setting, b"{}", b"[]")
    database.write_now(lambda connection: write(connection, setting))
    await stating.SealedStore(database, setting.merchant, "shop", setting.sealer).set("token", b"t")
    await Desk(database, replace(setting, merchant="other"), tmp_path).bring("kind,reference,code", "referral,1,ANN10")
    return setting


def reseal(database: Database, newer: Sealer, place: str = "") -> tuple[int, int]:
    """How many values were sealed anew, and how many did not open."""
    step = database.read_now(lambda connection: next_step(connection, newer, place))
    done = database.write_now(lambda connection: write_step(connection, step.stale))
    more, closed = reseal(database, newer, step.place) if step.place else (0, 0)
    return done + more, step.closed + closed


def opened(database: Database, sealer: Sealer) -> dict[tuple[str, str], list[bytes]]:
    """What every sealed column says."""

    def work(connection: Connection) -> dict[tuple[str, str], list[bytes]]:
        found: dict[tuple[str, str], list[bytes]] = {}
        for name, columns in ABOUT.items():
            for row in connection.execute(select(metadata.tables[name])).mappings():
                for column in columns:
                    if row[column]:
                        about = resealing.about_of(name, column, {str(key): row[key] for key in row})
                        found.setdefault((name, column), []).append(sealer.open(row[column], about.encode()))
        return {key: sorted(values) for key, values in found.items()}

    return database.read_now(work)


async def test_everything_says_the_same_under_the_newest_key_alone(
    database: Database, filled: Setting, newer: Sealer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resealing, "STEP", 1)
    before = opened(database, filled.sealer)
    assert before.keys() == {(table, column) for table, columns in ABOUT.items() for column in columns}
    count = sum(map(len, before.values()))
    assert database.read_now(count_keys) == {filled.sealer.newest: count}

    assert reseal(database, newer) == (count, 0)

    lines = NEWER.splitlines()
    alone = read_keys("\n".join(line for line in lines if line != [one for one in lines if one.startswith("seal")][1]))
    assert opened(database, alone) == before
    assert database.read_now(count_keys) == {newer.newest: count}
    assert reseal(database, newer) == (0, 0)


async def test_what_changes_or_is_erased_meanwhile_stays_so(database: Database, filled: Setting, newer: Sealer) -> None:
    step = database.read_now(lambda connection: next_step(connection, newer, ""))
    assert {(one.table, one.column) for one in step.stale} == {("inbox", "body_sealed")}
    database.write_now(lambda connection: connection.execute(update(inbox).values(body_sealed=None)))
    assert database.write_now(lambda connection: write_step(connection, step.stale)) == 0
    counted = select(func.count()).where(inbox.c.body_sealed.is_not(None))
    assert database.read_now(lambda connection: connection.execute(counted).scalar()) == 0


async def test_what_no_key_opens_is_counted_and_stays(database: Database, filled: Setting, newer: Sealer) -> None:
    foreign: dict[str, Any] = {"attributes_sealed": read_keys(new_key_text()).seal(b"x", b"")}
    database.write_now(lambda connection: connection.execute(update(member).values(foreign)))
    before = database.read_now(
        lambda connection: connection.execute(select(member.c.attributes_sealed)).scalars().all()
    )
    done, closed = reseal(database, newer)
    assert (closed, done > 0) == (len(before), True)
    after = database.read_now(lambda connection: connection.execute(select(member.c.attributes_sealed)).scalars().all())
    assert after == before

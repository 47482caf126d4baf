"""Records understood as rows: columns by preset and by word, and what each kind of row needs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stampcard.domain.imports import Row
from stampcard.engine.versions import LiveProgram
from stampcard.errors import RequestRefused, RowRefused
from stampcard.importing.columns import columns_of, heading
from stampcard.importing.files import Record
from stampcard.importing.presets import FIELDS, PRESETS
from stampcard.importing.reading import Manner, row_of
from stampcard.testing.building import NOON, programs
from stampcard.testing.importing import PROGRAM

LIVE: LiveProgram = programs(PROGRAM).versions["main"][0]
ATTRIBUTES = frozenset(LIVE.program.attribute_types)
GUIDE = Path(__file__).parents[3] / "docs/how-to/move-from-another-platform.md"


def read(header: str, line: str, preset: str = "stampcard", said: Mapping[str, str] | None = None, **more: Any) -> Row:
    names = header.split(";")
    columns = columns_of(names, PRESETS[preset], said or {}, ATTRIBUTES)
    dates = PRESETS[preset].dates
    manner = Manner(
        live=LIVE, columns=columns, width=len(names), wallet=more.pop("wallet", "points"), now=NOON, dates=dates, **more
    )
    return row_of(manner, Record(2, line.split(";")))


def test_smiles_columns_are_known() -> None:
    row = read(
        "Email;Points Balance;First Name;Date of Birth;VIP Tier;Referral URL;Created At",
        "ann@example.com;300;Ann;1004-05-27;Gold club;http://i.refs.cc/9qr5Pw;2024-04-04T15:10:42.030Z",
        "smile",
    )
    assert row == Row(
        line=2,
        email="ann@example.com",
        attributes={"first_name": "Ann", "birthday": "1004-05-27"},
        joined_at=datetime(2024, 4, 4, 15, 10, 42, 30000, tzinfo=UTC),
        wallet="points",
        points=300,
        tier="gold",
        code="http://i.refs.cc/9qr5Pw",
    )


def test_yotpos_columns_are_known_and_its_dates_tell_the_month_first() -> None:
    header = "Full Name;Email;Points Balance;Birthday (MM/DD) or (MM/DD/YYYY)"
    row = read(header, "Ann van Dyke;ann@example.com;12;02/03/1990", "yotpo")
    assert row.attributes == {"first_name": "Ann", "last_name": "van Dyke", "birthday": "1990-02-03"}


def test_loyaltylions_columns_are_known() -> None:
    row = read("Email addresses;Points;Shopify ID;Enrollment date", "ann@example.com;5;77;2025-01-02", "loyaltylion")
    assert (row.email, row.points, row.reference) == ("ann@example.com", 5, "77")
    assert row.joined_at == datetime(2025, 1, 1, 23, tzinfo=UTC)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_names_fields_that_there_are_and_the_pages_that_say_so(name: str) -> None:
    preset = PRESETS[name]
    assert set(preset.columns.values()) <= FIELDS.keys()
    assert all(key == heading(key) for key in preset.columns)
    assert preset.sources or name == "stampcard"


def test_every_field_stands_in_the_guide() -> None:
    text = GUIDE.read_text(encoding="utf8")
    assert [name for name in FIELDS if f"`{name}`" not in text] == []
    assert [name for name in PRESETS if f"`{name}`" not in text] == []


def test_a_map_takes_a_column_in_leaves_one_out_and_knows_declared_attributes() -> None:
    said = {"Mail": "email", "Points": "", "Born": "attribute:birthday"}
    row = read("Mail;points;Born", "ann@example.com;what?;1990-02-03", said=said)
    assert (row.email, row.points, row.attributes) == ("ann@example.com", 0, {"birthday": "1990-02-03"})


@pytest.mark.parametrize(
    ("header", "said", "told"),
    [
        ("mail;points", {}, "no column says who a row is of"),
        ("email;points", {"pointz": "points"}, "unknown column 'pointz', did you mean 'points'"),
        ("email;x", {"x": "ponts"}, "unknown field 'ponts', did you mean 'points'"),
        ("email;x", {"x": "attribute:colour"}, "unknown attribute 'colour'"),
        ("email;points;Balance", {"Balance": "points"}, "are both points"),
    ],
)
def test_a_column_or_a_field_that_does_not_fit_is_told_before_anything_counts(
    header: str, said: dict[str, str], told: str
) -> None:
    with pytest.raises(RequestRefused, match=told):
        columns_of(header.split(";"), PRESETS["stampcard"], said, ATTRIBUTES)


def test_a_column_that_the_program_does_not_declare_is_left_out_and_told() -> None:
    columns = columns_of(["email", "birthday", "x"], PRESETS["stampcard"], {}, frozenset())
    assert columns.left_out == ("birthday (the program declares no attribute birthday)", "x")


def test_every_kind_of_row_is_read() -> None:
    header = "kind;email;points;available_from;expires;tier;tier_until;at;note;code;friend"
    lot = read(header, "lot;a@b.de;5;2026-04-01;never;;;;;;")
    assert (lot.points, lot.available_from, lot.forever) == (5, datetime(2026, 3, 31, 22, tzinfo=UTC), True)
    tier = read(header, "tier;a@b.de;;;;silver;2026-12-31;;;;")
    assert (tier.tier, tier.tier_until) == ("silver", datetime(2026, 12, 31, 23, tzinfo=UTC))
    history = read(header, "history;a@b.de;-40;;;;;2025-01-01;Spent;;")
    assert (history.points, history.note, history.at) == (-40, "Spent", datetime(2024, 12, 31, 23, tzinfo=UTC))
    referral = read(header, "referral;a@b.de;;;;;;;;ANN10;bob@example.com")
    assert (referral.code, referral.friend) == ("ANN10", "bob@example.com")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "gift;a@b.de;;;;",
            "line 2, column 'kind': unknown kind 'gift', there is: member, lot, tier, history, referral",
        ),
        (";;5;;;", "line 2, column 'email': says of nobody who they are; fill in the address or the reference"),
        ("lot;a@b.de;;;;", "line 2, column 'points': a row of kind lot needs points; fill it in"),
        ("tier;a@b.de;;;;", "needs tier"),
        (";a@b.de;x;;;", "line 2, column 'points': 'x' is no number; write digits, as 1250"),
        (";a@b.de;-1;;;", "'-1' is less than nothing"),
        (";a@b.de;5;2025-01-01;;", "column 'expires': '2025-01-01' is past; leave the points out"),
        (";a@b.de;5;;golden;", "unknown tier 'golden', did you mean 'gold'"),
        (";a@b.de;5;;gold;2025-01-01", "column 'tier_until': '2025-01-01' is past"),
        (";a@b.de;5;;", "has 5 cells where the first line has 6"),
        (";a@b.de;5;;;;7", "has 7 cells where the first line has 6"),
        (f";a@b.de;{'9' * 600};;;", "is too long"),
    ],
)
def test_a_row_that_cannot_be_says_where_why_and_what_to_change(line: str, told: str) -> None:
    with pytest.raises(RowRefused) as refused:
        read("kind;email;points;expires;tier;tier_until", line)
    assert told in str(refused.value)


def test_points_of_a_program_with_several_wallets_need_one() -> None:
    with pytest.raises(RowRefused, match="--wallet points or miles"):
        read("email;points", "a@b.de;5", wallet="")
    assert read("email;points;wallet", "a@b.de;5,25;miles", wallet="").points == 525
    assert read("email;points", "a@b.de;", wallet="").points == 0


def test_points_that_expire_before_they_can_be_used_are_refused() -> None:
    with pytest.raises(RowRefused, match="before the points can be used"):
        read("email;points;available_from;expires", "a@b.de;5;2026-06-01;2026-05-01")


def test_nobody_joined_tomorrow_and_no_zone_is_made_up() -> None:
    with pytest.raises(RowRefused, match="lies ahead"):
        read("email;joined", "a@b.de;2027-01-01")
    with pytest.raises(RowRefused, match="no time zone"):
        read("email;timezone", "a@b.de;Mars/Base")

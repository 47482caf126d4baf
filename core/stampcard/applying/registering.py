"""Members as rows: what is personal lies sealed, beside the fingerprints that it is found by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, update

from stampcard.applying.addressing import email_print, phone_print
from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.members import Member
from stampcard.sealing import Sealer
from stampcard.storage import rows, saving
from stampcard.storage.contacts import attribute_times
from stampcard.storage.tables import membership

_MOVE = (
    update(membership)
    .where(
        membership.c.merchant == bindparam("b_merchant"),
        membership.c.member == bindparam("b_member"),
        membership.c.program == bindparam("b_program"),
    )
    .values(state=bindparam("state"))
)
_NOT_HELD: Mapping[str, Any] = {"held_at": None, "held_for": None}


def save_members(
    connection: Connection,
    setting: Setting,
    now: datetime,
    people: Mapping[str, tuple[Member, Member]],
    told_at: Mapping[tuple[str, str], datetime],
) -> None:
    """Write what changed of members, each given as before and after; `told_at`: since when an attribute is so, if not now."""
    merchant, sealer = setting.merchant, setting.sealer
    versions, joined, moved, attributes, holds = [], [], [], [], []
    described = {id_ for id_, (before, after) in people.items() if after.attributes != before.attributes}
    times = attribute_times(connection, merchant, described) if described else {}
    for id_, (before, after) in people.items():
        row = {"merchant": merchant, "id": id_, "joined_at": to_micros(after.joined_at)}
        if after.attributes != before.attributes:
            names = changed_attributes(before.attributes, after.attributes)
            changed = {name: to_micros(told_at.get((id_, name), now)) for name in names}
            known = {name: to_micros(at) for name, at in times.get(id_, {}).items()}
            at = {"attributes_at": rows.to_json({**known, **changed})}
            attributes.append({**row, **attribute_columns(sealer, merchant, after), **at})
        if after.held != before.held:
            held = after.held
            reason = {"held_at": to_micros(held.since), "held_for": held.reason} if held is not None else _NOT_HELD
            holds.append({**row, **reason})
        if after.version != before.version:
            versions.append({**row, "version": after.version})
        joined += [
            {
                "merchant": merchant,
                "member": id_,
                "program": program,
                "joined_at": to_micros(now),
                "anniversary": _day_of_joining(setting, program, now),
                "state": after.states.get(program, "active"),
            }
            for program in after.programs - before.programs
        ]
        moved += [
            {
                "b_merchant": merchant,
                "b_member": id_,
                "b_program": program,
                "state": after.states.get(program, "active"),
            }
            for program in after.programs & before.programs
            if after.states.get(program) != before.states.get(program)
        ]
    saving.upsert(connection, "member", versions)
    saving.upsert(connection, "member", attributes)
    saving.upsert(connection, "member", holds)
    saving.insert_new(connection, "membership", joined)
    if moved:
        connection.execute(_MOVE, sorted(moved, key=lambda row: (row["b_member"], row["b_program"])))


def changed_attributes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The attributes that are another, or gone, or new."""
    return [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]


def _day_of_joining(setting: Setting, program: str, now: datetime) -> str:
    """Month and day, in the program's zone."""
    live = next((live for live in setting.programs.current(now) if live.name == program), None)
    zone = live.program.zone if live else UTC
    return f"{now.astimezone(zone):%m-%d}"


def birthday_print(sealer: Sealer, merchant: str, month_and_day: str) -> str:
    """What a birthday is found by; the day itself is sealed like everything personal."""
    return sealer.fingerprint(f"birthday:{merchant}:{month_and_day}")


def attribute_columns(sealer: Sealer, merchant: str, member: Member) -> dict[str, Any]:
    """A member's personal columns: the sealed attributes, and the fingerprints that an erasure by address needs."""
    email, phone = member.attributes.get("email"), member.attributes.get("phone")
    birthday = member.attributes.get("birthday")
    return {
        "attributes_sealed": rows.seal_object(sealer, member.attributes, f"member:{merchant}:{member.id}"),
        "email_print": email_print(sealer, str(email)) if email else None,
        "phone_print": phone_print(sealer, str(phone)) if phone else None,
        "birthday_print": birthday_print(sealer, merchant, str(birthday)[5:10]) if birthday else None,
    }

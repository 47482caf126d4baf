"""What leaves because of a unit of work: state is marked to be pushed, commands are queued."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row

from stampcard.applying.changing import MARKED
from stampcard.applying.registering import changed_attributes
from stampcard.applying.setting import Setting
from stampcard.clock import to_micros
from stampcard.domain.commands import AUDIENCE, CONTACT, PASS, TAGS, Command
from stampcard.domain.decisions import Change
from stampcard.domain.members import Identity, Member
from stampcard.storage import loading, rows, saving
from stampcard.storage.passes import passes_of
from stampcard.storage.pushing import owe

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

#: What a card shows of a person beside their figures.
_PERSONAL = frozenset({"first_name", "last_name", "language"})


def send_out(
    connection: Connection,
    setting: Setting,
    now: datetime,
    members: Mapping[str, Member],
    changes: Sequence[Change],
) -> None:
    """Mark the state that must be pushed, and queue what plugins want to be done once."""
    if not changes:
        return
    known = push(connection, setting, now, changes)
    if setting.hooks.implements("outbound_commands"):
        commands: list[tuple[str, Command]] = []
        for change in changes:
            references = {row.connection: row.reference for row in known.get(change.member, ())}
            commands += _commands(setting, members[change.member], change, references)
        queue(connection, setting, now, commands)


def push(
    connection: Connection, setting: Setting, now: datetime, changes: Sequence[Change]
) -> dict[str, list[Row[Any]]]:
    """Mark the state that must be pushed because of these changes; answers how each source calls their members."""
    marked = {change.member for change in changes if MARKED in change.kinds}
    return mark(connection, setting, now, {change.member: change.version for change in changes}, marked)


def mark(
    connection: Connection,
    setting: Setting,
    now: datetime,
    versions: Mapping[str, int],
    marked: Collection[str] | None = None,
) -> dict[str, list[Row[Any]]]:
    """Ask for these members' state to be pushed, to everybody who takes it; answers how each source calls them.

    `marked`: whose tags changed; without it those of all are pushed.
    """
    merchant = setting.merchant
    known = loading.load_identities_of(connection, merchant, list(versions))
    since, due = to_micros(now), to_micros(now + min(setting.coalesce, setting.longest))
    marks = [
        {"merchant": merchant, "connection": row.connection, "kind": kind, "member": member,
         "wanted": version, "since": since, "due_at": due}
        for member, version in versions.items()
        for row in known.get(member, ())
        for kind in setting.targets.get(row.connection, ())
        if kind not in {CONTACT, AUDIENCE} and (kind != TAGS or marked is None or member in marked)
    ]  # fmt: skip
    # Who has no contact yet may get one.
    marks += [
        {"merchant": merchant, "connection": name, "kind": CONTACT, "member": member,
         "wanted": version, "since": since, "due_at": due}
        for name, crm in setting.crms.items()
        for member, version in versions.items()
        if crm.makes or any(row.connection == name for row in known.get(member, ()))
    ]  # fmt: skip
    saving.mark_pushes(connection, marks, setting.longest // timedelta(microseconds=1))
    return known


def owe_passes(unit: Unit) -> None:
    """Let the passes of those be looked at who are called otherwise than before, though none of their figures changed."""
    setting, before = unit.setting, unit.touched.before if unit.setting.phones else {}
    changed = {
        id_
        for id_, was in before.items()
        if not _PERSONAL.isdisjoint(changed_attributes(was.attributes, unit.members[id_].attributes))
    }
    known = passes_of(unit.connection, setting.merchant, changed) if changed else []
    wait = min(setting.coalesce, setting.longest)
    for name in sorted(setting.phones):
        theirs = {one.member for one in known if one.connection == name}
        owe(unit.connection, setting.merchant, name, PASS, theirs, unit.now, wait)


def _commands(
    setting: Setting, member: Member, change: Change, references: Mapping[str, str]
) -> list[tuple[str, Command]]:
    """What plugins ask for at each of their connections, with how the member is called there."""
    connections: dict[str, list[tuple[str, Identity | None]]] = {}
    for name, plugin in setting.plugins.items():
        reference = references.get(name)
        identity = Identity(connection=name, reference=reference) if reference else None
        connections.setdefault(plugin, []).append((name, identity))
    return setting.hooks.outbound_commands(change, member, connections)


def queue(connection: Connection, setting: Setting, now: datetime, commands: Sequence[tuple[str, Command]]) -> None:
    """Queue things to be done once, each with its connection; one that is queued already changes nothing."""
    saving.insert_new(connection, "outbox", [_outbox_row(setting, now, *command) for command in commands])


def _outbox_row(setting: Setting, now: datetime, connection: str, command: Command) -> dict[str, Any]:
    at = to_micros(now)
    about = f"outbox:{setting.merchant}:{connection}:{command.key}"
    return {
        "merchant": setting.merchant,
        "id": setting.numbering.next(now),
        "connection": connection,
        "kind": command.kind,
        "key": command.key,
        "member": command.member,
        "reference": command.reference,
        "data_sealed": rows.seal_object(setting.sealer, command.data, about),
        "due_at": at,
        "created_at": at,
    }

"""Who belongs into which audience elsewhere: in the segment, agreed to it, and taking part; nobody else."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from stampcard.applying.registering import changed_attributes
from stampcard.applying.setting import Setting
from stampcard.domain.audiences import HashKind, Place, hashes_of
from stampcard.domain.commands import AUDIENCE
from stampcard.domain.consents import given
from stampcard.domain.members import Member
from stampcard.engine.versions import LiveProgram
from stampcard.plugin.audiences import AudienceSettings
from stampcard.storage import audiences, loading
from stampcard.storage.consenting import load_consents
from stampcard.storage.rows import to_json
from stampcard.storage.segmenting import load_segments

if TYPE_CHECKING:
    from stampcard.applying.unit import Unit

#: In which states a program is for people who are not tried with.
_RUNNING = frozenset({"soft", "live", "ending"})
_ADDRESSES = frozenset({"email", "phone"})


def owe_audiences(unit: Unit) -> None:
    """Let it be looked at once more where those belong whose segments, consents, addresses or part in a program changed."""
    # Who became one person with another, or two again, is marked anew.
    changed = {*unit.touched.said, *unit.grants.marked, *(member for member, _ in unit.crossings.happened)}
    for id_, before in unit.touched.before.items():
        now = unit.members[id_]
        if _is_other(before, now):
            changed.add(id_)
        if now.merged_into != before.merged_into:
            changed.add(now.merged_into or before.merged_into or id_)
    if changed:
        names = [name for name, kinds in unit.setting.targets.items() if AUDIENCE in kinds]
        audiences.owe(unit.connection, unit.setting.merchant, names, changed, unit.now)


def _is_other(before: Member, now: Member) -> bool:
    return (now.programs, now.states, now.merged_into) != (
        before.programs,
        before.states,
        before.merged_into,
    ) or not _ADDRESSES.isdisjoint(changed_attributes(before.attributes, now.attributes))


def program_of(setting: Setting, settings: AudienceSettings, now: datetime) -> LiveProgram | None:
    """The program whose segments they are: the one that the settings name, or else the first."""
    return next((live for live in setting.programs.current(now) if settings.program in {"", live.name}), None)


def terms_of(setting: Setting, settings: AudienceSettings, kinds: Collection[HashKind], now: datetime) -> str:
    """All that decides who belongs where, beside the members: once it is another, all of them are looked at anew."""
    live = program_of(setting, settings, now)
    program = (live.name, live.program.state, is_stopped(setting, live)) if live is not None else ()
    return to_json((program, sorted(settings.audiences.items()), settings.consent, sorted(kinds)))


def is_stopped(setting: Setting, live: LiveProgram) -> bool:
    """Whether nobody joins for now, though who is there stays."""
    return f"program:{live.name}" in setting.programs.stopped


def places_of(
    connection: Connection,
    setting: Setting,
    settings: AudienceSettings,
    kinds: Collection[HashKind],
    told: Mapping[str, Mapping[Place, bool]],
    members: Collection[str],
    now: datetime,
) -> dict[str, frozenset[Place]]:
    """Member → the places where they belong now, and nothing for those who belong nowhere; `told`: where they may be."""
    live = program_of(setting, settings, now)
    if live is None or live.program.state not in _RUNNING:
        return {}
    merchant, sealer = setting.merchant, setting.sealer
    inside = {
        id_: of.get(live.name, set()) & settings.audiences.keys()
        for id_, of in load_segments(connection, merchant, members).items()
    }
    ids = [id_ for id_, of in inside.items() if of]
    said = load_consents(connection, merchant, ids, sealer, evidence=False)
    ids = [id_ for id_ in ids if settings.consent in given(said.get(id_, ()))]
    found: dict[str, frozenset[Place]] = {}
    for id_, one in loading.load_members(connection, merchant, ids, sealer, attributes=True, lock=False).items():
        if not one.is_there or live.name not in one.programs or one.states.get(live.name, "active") != "active":
            continue
        hashes = hashes_of(str(one.attributes.get("email") or ""), str(one.attributes.get("phone") or ""), kinds)
        theirs = {settings.audiences[segment] for segment in inside[id_]}
        places = frozenset(Place(audience, kind, text) for audience in theirs for kind, text in hashes.items())
        found[id_] = places & told.get(id_, {}).keys() if is_stopped(setting, live) else places
    return found

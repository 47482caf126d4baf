"""Versions in time: which is valid, which is planned, and what may begin when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

from stampcard.domain.value import Value
from stampcard.engine.deciding import AHEAD
from stampcard.errors import Conflict, RequestRefused

State = Literal["past", "valid", "planned", "withdrawn"]

#: When a withdrawn version is valid. Its row stays, so that no other version ever gets its number.
NEVER = datetime(9999, 12, 31, tzinfo=UTC)
#: From so long before its beginning on a version stays: an order whose clock is ahead may have been decided by it.
SETTLED = AHEAD + timedelta(minutes=1)


class StoredVersion(Value, frozen=True):
    """One version of a program as it was applied."""

    program: str
    number: int
    valid_from: datetime
    source: str
    author: str
    note: str
    created_at: datetime

    @property
    def is_withdrawn(self) -> bool:
        """Whether it was planned and taken back."""
        return self.valid_from >= NEVER

    @property
    def told(self) -> str:
        """The version and who made it, when."""
        return f"version {self.number}{f' by {self.author}' if self.author else ''} of {minute(self.created_at)}"


def minute(moment: datetime) -> str:
    """A moment to the minute, in UTC."""
    return f"{moment:%Y-%m-%d %H:%M}Z"


def valid_version(versions: Iterable[StoredVersion], now: datetime) -> StoredVersion | None:
    """The one of a program's versions that is valid now, if it has begun."""
    begun = [version for version in versions if version.valid_from <= now]
    return begun[-1] if begun else None


def planned_versions(versions: Iterable[StoredVersion], now: datetime) -> list[StoredVersion]:
    """Those of a program's versions that are valid only later."""
    return [version for version in versions if version.valid_from > now and not version.is_withdrawn]


def standing_texts(versions: Sequence[StoredVersion], now: datetime) -> dict[str, list[str]]:
    """Of each program the text that is valid now, empty before it begins, then those that are planned."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(version.program for version in versions):
        ours = [version for version in versions if version.program == name]
        valid, planned = valid_version(ours, now), planned_versions(ours, now)
        found[name] = [valid.source if valid else "", *(version.source for version in planned)]
    return found


def states(versions: Sequence[StoredVersion], now: datetime) -> Mapping[tuple[str, int], State]:
    """How each version stands now, by program and number."""
    found: dict[tuple[str, int], State] = {}
    valid: dict[str, StoredVersion] = {}
    for version in versions:
        key = (version.program, version.number)
        if version.is_withdrawn:
            found[key] = "withdrawn"
        elif version.valid_from > now:
            found[key] = "planned"
        else:
            found[key], valid[version.program] = "past", version
    return {**found, **{(version.program, version.number): "valid" for version in valid.values()}}


def check_base(ours: Sequence[StoredVersion], base: int | None, now: datetime) -> None:
    """Raise Conflict, naming who changed what since, unless `base` is a program's newest version; 0: it has none."""
    standing = [version for version in ours if not version.is_withdrawn]
    if base is None or base == (standing[-1].number if standing else 0):
        return
    newer = [_since(version, now) for version in standing if version.number > base]
    if not newer:
        newest = standing[-1].told if standing else "nothing"
        raise Conflict("changed_meanwhile", f"version {base} does not stand any more: the newest is {newest}")
    raise Conflict("changed_meanwhile", f"changed since version {base}: {'; '.join(newer)}")


def check_beginning(newest: StoredVersion | None, begins: datetime, now: datetime) -> None:
    """Raise RequestRefused for a moment that is past or too far, Conflict for one before the newest version begins."""
    if begins < now:
        raise RequestRefused("in_the_past", f"{minute(begins)} is past: a version is valid from now or a later time on")
    if begins >= NEVER:
        raise RequestRefused("too_late", f"{minute(begins)} is too far away")
    if newest is not None and begins < newest.valid_from:
        remedy = "let this one begin then or later, or withdraw that one first"
        raise Conflict("change_planned", f"{newest.told} is planned from {minute(newest.valid_from)} on: {remedy}")


def check_withdrawable(version: StoredVersion, now: datetime) -> None:
    """Raise Conflict unless the version is planned, and not to begin at any moment."""
    if version.is_withdrawn:
        raise Conflict("withdrawn", f"version {version.number} was withdrawn already")
    if version.valid_from <= now:
        began = minute(version.valid_from)
        raise Conflict("already_valid", f"version {version.number} is or was valid, from {began} on, so it stays")
    if version.valid_from < now + SETTLED:
        raise Conflict("already_valid", f"version {version.number} begins at {minute(version.valid_from)}: too soon")


def _since(version: StoredVersion, now: datetime) -> str:
    planned = f", planned from {minute(version.valid_from)} on" if version.valid_from > now else ""
    note = f" ({version.note})" if version.note else ""
    return f"{version.told}{planned}{note}"

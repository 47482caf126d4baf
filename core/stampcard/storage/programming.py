"""The merchant's programs as stored: every version that was ever valid or is planned, and the ways to make one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, select, update

from stampcard.clock import from_micros, to_micros
from stampcard.engine.versions import LiveProgram, Programs, assembled, compiled
from stampcard.errors import ConfigurationError, NotFound, Problem, ProgramError
from stampcard.program.bundling import bundled
from stampcard.program.model import Program
from stampcard.program.reading import read_program
from stampcard.storage import saving
from stampcard.storage.clashing import clashes
from stampcard.storage.planning import (
    NEVER,
    StoredVersion,
    check_base,
    check_beginning,
    check_withdrawable,
    minute,
)
from stampcard.storage.revising import bump, current
from stampcard.storage.switching import stopped_targets
from stampcard.storage.tables import program_version, revision

_VERSIONS = select(program_version).order_by(program_version.c.program, program_version.c.number)


def read_file(path: Path) -> tuple[Program, str]:
    """A program file with the messages beside it, understood and as text.

    The messages of ``program.yaml`` may stand in ``program.messages/*.yaml``, one in each file. Raises ProgramError, or
    ConfigurationError if anything cannot be read.
    """
    beside = sorted(path.with_suffix(".messages").glob("*.yaml"))
    bundle = bundled(str(path), _read(path), [(str(file), _read(file)) for file in beside])
    try:
        return read_program(bundle.text, str(path)), bundle.text
    except ProgramError as error:
        placed = [bundle.placed(problem) for problem in error.problems]
        raise ProgramError(str(path), [_of_file(path, *one) for one in placed]) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError("programs", f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ProgramError(str(path), [Problem("is not text in UTF-8")]) from None


def _of_file(program: Path, file: str, problem: Problem) -> Problem:
    """A problem as it is told: one in a file beside the program names that."""
    if file == str(program):
        return problem
    place = f"{file}:{problem.line}:{problem.column} {problem.path}"
    return Problem(f"{place}: {problem.message}")


def stored_versions(connection: Connection, merchant: str, *, withdrawn: bool = False) -> Sequence[StoredVersion]:
    """Every version of every program, each program's in ascending order; `withdrawn`: those too."""
    statement = _VERSIONS.where(program_version.c.merchant == merchant)
    if not withdrawn:
        statement = statement.where(program_version.c.valid_from < to_micros(NEVER))
    return [
        StoredVersion(
            program=row.program,
            number=row.number,
            valid_from=from_micros(row.valid_from),
            source=row.source,
            author=row.author,
            note=row.note,
            created_at=from_micros(row.created_at),
        )
        for row in connection.execute(statement)
    ]


def newest_versions(connection: Connection, merchant: str) -> dict[str, StoredVersion]:
    """The newest version of each program, which may be planned."""
    return {version.program: version for version in stored_versions(connection, merchant)}


def load_programs(connection: Connection, merchant: str) -> Programs:
    """Every version, compiled, and what is stopped, under the revision at which they were read."""
    # The revision first: what changes in between is then loaded again, never missed.
    number = current(connection, merchant)
    versions, stopped = stored_versions(connection, merchant), stopped_targets(connection, merchant)
    return assembled(map(_live, versions), number, stopped)


def store_version(
    connection: Connection,
    merchant: str,
    program: Program,
    source_text: str,
    author: str,
    note: str,
    now: datetime,
    *,
    valid_from: datetime | None = None,
    base: int | None = None,
) -> int:
    """Make this the newest version of its program, valid from now or a later moment on, and answer its number.

    `base`: the number of the newest version that whoever changed it has seen. The text of the newest version again
    changes nothing and answers that one's number. Raises Conflict when the newest is another than `base` or begins only
    later, RequestRefused for a moment that is past, ProgramError when a wallet belongs to another program, or when one
    with balances would be lost or counted in another scale.
    """
    one_at_a_time(connection, merchant)
    everything = stored_versions(connection, merchant, withdrawn=True)
    stored = [version for version in everything if not version.is_withdrawn]
    ours = [version for version in everything if version.program == program.program]
    check_base(ours, base, now)
    newest = next((version for version in reversed(stored) if version.program == program.program), None)
    # A clock that was set back must not make a version valid before the one it replaces.
    made_at = max([now, *(version.created_at for version in ours)])
    begins = valid_from or made_at
    if newest is not None and newest.source == source_text and newest.valid_from <= begins:
        return newest.number
    check_beginning(newest, begins, now if valid_from else begins)
    planned_at = now if begins > now else None
    problems = list(clashes(connection, merchant, program, [_live(version) for version in stored], planned_at))
    if problems:
        raise ProgramError(program.program, problems)
    number = ours[-1].number + 1 if ours else 1
    row = {
        "merchant": merchant,
        "program": program.program,
        "number": number,
        "valid_from": to_micros(begins),
        "source": source_text,
        "author": author,
        "note": note,
        "created_at": to_micros(made_at),
    }
    saving.insert(connection, "program_version", [row])
    bump(connection, merchant)
    return number


def find_version(connection: Connection, merchant: str, program: str, number: int) -> StoredVersion:
    """A version, also one that was withdrawn; raises NotFound with the closest program there is."""
    everything = stored_versions(connection, merchant, withdrawn=True)
    ours = {version.number: version for version in everything if version.program == program}
    if not ours:
        raise unknown_program(program, everything)
    if number not in ours:
        raise NotFound(f"version of {program!r}", str(number), str(max(ours)))
    return ours[number]


def unknown_program(name: str, there: Iterable[StoredVersion]) -> NotFound:
    """The error for a program that is not there."""
    close = get_close_matches(name, sorted({version.program for version in there}), n=1)
    return NotFound("program", name, *close)


def revert_version(
    connection: Connection, merchant: str, program: str, number: int, author: str, note: str, now: datetime
) -> int:
    """Make an old text the newest again, valid from now on; answers the new version's number."""
    old = find_version(connection, merchant, program, number)
    return store_version(
        connection, merchant, _live(old).program, old.source, author, note or f"back to version {number}", now
    )


def withdraw_version(
    connection: Connection, merchant: str, program: str, number: int, author: str, now: datetime
) -> StoredVersion:
    """Take back a version that is planned; answers what it was. Raises Conflict for one that is or was valid."""
    one_at_a_time(connection, merchant)
    version = find_version(connection, merchant, program, number)
    check_withdrawable(version, now)
    by = f" by {author}" if author else ""
    note = f"withdrawn{by} on {minute(now)}, was planned from {minute(version.valid_from)} on"
    connection.execute(
        update(program_version)
        .where(
            program_version.c.merchant == merchant,
            program_version.c.program == program,
            program_version.c.number == number,
        )
        .values(valid_from=to_micros(NEVER), note=f"{version.note}; {note}" if version.note else note)
    )
    bump(connection, merchant)
    return version


def take_first_programs(connection: Connection, merchant: str, files: Iterable[Path], now: datetime) -> int:
    """Take the files into a database that has no program of this merchant yet; answers how many were taken."""
    if stored_versions(connection, merchant):
        return 0
    taken = [read_file(path) for path in files]
    if not taken:
        problem = "no file is there, and the database has no program yet"
        raise ConfigurationError("programs", problem, "Write one by: stampcard init")
    for program, text in taken:
        store_version(connection, merchant, program, text, "", "first start", now)
    return len(taken)


def one_at_a_time(connection: Connection, merchant: str) -> None:
    """Let whoever else changes a program of this merchant wait until we have committed."""
    saving.insert_new(connection, "revision", [{"merchant": merchant, "number": 0}])
    connection.execute(select(revision.c.number).where(revision.c.merchant == merchant).with_for_update())


@lru_cache(maxsize=256)
def _live(version: StoredVersion) -> LiveProgram:
    program = read_program(version.source, f"(stored) {version.program}, version {version.number}")
    return compiled(program, version.number, version.valid_from)

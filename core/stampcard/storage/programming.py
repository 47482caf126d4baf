"""The merchant's programs as stored: every version that was ever valid, the newest text being the truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from sqlalchemy import Connection, select

from stampcard.clock import from_micros, to_micros
from stampcard.domain.value import Value
from stampcard.engine.versions import LiveProgram, Programs, assembled, compiled
from stampcard.errors import ConfigurationError, Problem, ProgramError
from stampcard.program.model import Program
from stampcard.program.reading import read_program
from stampcard.storage import saving
from stampcard.storage.revising import bump, current
from stampcard.storage.switching import stopped_targets
from stampcard.storage.tables import balance, program_version, revision

_VERSIONS = select(program_version).order_by(program_version.c.program, program_version.c.number)


class StoredVersion(Value, frozen=True):
    """One version of a program as it was applied."""

    program: str
    number: int
    valid_from: datetime
    source: str
    author: str
    note: str


def read_file(path: Path) -> tuple[Program, str]:
    """A program file, understood and as text; raises ProgramError, or ConfigurationError if it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError("programs", f"{path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ProgramError(str(path), [Problem("is not text in UTF-8")]) from None
    return read_program(text, str(path)), text


def stored_versions(connection: Connection, merchant: str) -> Sequence[StoredVersion]:
    """Every version of every program, each program's in ascending order."""
    return [
        StoredVersion(
            program=row.program,
            number=row.number,
            valid_from=from_micros(row.valid_from),
            source=row.source,
            author=row.author,
            note=row.note,
        )
        for row in connection.execute(_VERSIONS.where(program_version.c.merchant == merchant))
    ]


def newest_versions(connection: Connection, merchant: str) -> dict[str, StoredVersion]:
    """The newest version of each program."""
    return {version.program: version for version in stored_versions(connection, merchant)}


def load_programs(connection: Connection, merchant: str) -> Programs:
    """Every version, compiled, and what is stopped, under the revision at which they were read."""
    # The revision first: what changes in between is then loaded again, never missed.
    number = current(connection, merchant)
    versions, stopped = stored_versions(connection, merchant), stopped_targets(connection, merchant)
    return assembled(map(_live, versions), number, stopped)


def store_version(
    connection: Connection, merchant: str, program: Program, source_text: str, author: str, note: str, now: datetime
) -> int:
    """Make this the newest version of its program, valid from now on, and answer its number.

    The text of the newest version again changes nothing and answers that one's number. Raises ProgramError when a
    wallet belongs to another program, or when one with balances would be lost or counted in another scale.
    """
    _one_at_a_time(connection, merchant)
    stored = stored_versions(connection, merchant)
    newest = next((version for version in reversed(stored) if version.program == program.program), None)
    if newest is not None and newest.source == source_text:
        return newest.number
    problems = [*_taken(program, stored), *_lost(connection, merchant, program, stored)]
    if problems:
        raise ProgramError(program.program, problems)
    number = newest.number + 1 if newest else 1
    row = {
        "merchant": merchant,
        "program": program.program,
        "number": number,
        # A clock that was set back must not make a version valid before the one it replaces.
        "valid_from": to_micros(max(now, newest.valid_from) if newest else now),
        "source": source_text,
        "author": author,
        "note": note,
        "created_at": to_micros(now),
    }
    saving.insert(connection, "program_version", [row])
    bump(connection, merchant)
    return number


def take_first_programs(connection: Connection, merchant: str, files: Iterable[Path], now: datetime) -> int:
    """Take the files into a database that has no program of this merchant yet; answers how many were taken."""
    wanted = select(program_version.c.program).where(program_version.c.merchant == merchant).limit(1)
    if connection.execute(wanted).first() is not None:
        return 0
    taken = [read_file(path) for path in files]
    if not taken:
        problem = "no file is there, and the database has no program yet"
        raise ConfigurationError("programs", problem, "Write one by: stampcard init")
    for program, text in taken:
        store_version(connection, merchant, program, text, "", "first start", now)
    return len(taken)


def _one_at_a_time(connection: Connection, merchant: str) -> None:
    saving.insert_new(connection, "revision", [{"merchant": merchant, "number": 0}])
    connection.execute(select(revision.c.number).where(revision.c.merchant == merchant).with_for_update())


@lru_cache(maxsize=256)
def _live(version: StoredVersion) -> LiveProgram:
    program = read_program(version.source, f"(stored) {version.program}, version {version.number}")
    return compiled(program, version.number, version.valid_from)


def _taken(program: Program, stored: Iterable[StoredVersion]) -> list[Problem]:
    """Wallets that another program has, or once had: its orders may still award to them."""
    owners: dict[str, str] = {}
    for version in stored:
        if version.program != program.program:
            owners |= dict.fromkeys(_wallets(version), version.program)
    return [
        Problem(f"the program {owners[name]!r} has a wallet of this name already", path=f"wallets.{name}")
        for name in program.wallets
        if name in owners
    ]


def _lost(
    connection: Connection, merchant: str, program: Program, stored: Iterable[StoredVersion]
) -> Iterable[Problem]:
    """Wallets with balances that are gone, or whose figures would mean something else."""
    scales: dict[str, int] = {}
    for version in stored:
        if version.program == program.program:
            scales |= _wallets(version)
    for name, scale in scales.items():
        terms = program.wallets.get(name)
        if terms is not None and terms.scale == scale:
            continue
        held = select(balance.c.member).where(balance.c.merchant == merchant, balance.c.wallet == name).limit(1)
        if connection.execute(held).first() is None:
            continue
        if terms is None:
            yield Problem("members have balances in this wallet, so it cannot be left out", path=f"wallets.{name}")
        else:
            problem = f"members have balances in this wallet, so its scale stays {scale}"
            yield Problem(problem, path=f"wallets.{name}.scale")


def _wallets(version: StoredVersion) -> Mapping[str, int]:
    return {name: terms.scale for name, terms in _live(version).program.wallets.items()}

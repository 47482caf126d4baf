"""Fixtures that many tests share: a database of each kind, and an engine's setting over it."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache, lru_cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import typer.main
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache
from tests.databases import Databases, postgresql_server

from stampcard.applying.setting import Setting
from stampcard.engine.versions import Programs
from stampcard.errors import Problem
from stampcard.host.discovering import PluginTable
from stampcard.host.hooks import Hooks
from stampcard.program import parsing
from stampcard.sealing import Sealer, new_key_text, read_keys
from stampcard.storage import migrating
from stampcard.storage.database import Database
from stampcard.storage.numbering import Numbering
from stampcard.testing.building import programs as one_program

settings.register_profile(
    "here", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("here")

VENDOR_CHECKS = "vendor checks"
MORTAL = Path(__file__).with_name("flows") / "mortal.py"
#: Bytes that must be free where files are made in memory.
ROOM = 2 * 1024**3


def memory() -> Path | None:
    """A folder in memory, where a disk need not be waited for, on machines that have one with room enough."""
    folder = Path("/dev/shm")  # noqa: S108 - what is made in it has names of its own
    roomy = folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM
    return folder if roomy else None


def pytest_configure() -> None:
    if folder := memory():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))


def pytest_collection_finish() -> None:
    """Let the collector of garbage pass over what was loaded, which stays: it takes a tenth of the time otherwise."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(autouse=True)
def log() -> Iterator[None]:
    """The log as it was: a command that a test runs here makes it deaf to all but grave things."""
    configured = structlog.get_config()
    yield
    structlog.configure(**configured)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Databases]:
    """Databases on a PostgreSQL server of our own."""
    with postgresql_server(memory()) as address:
        databases = Databases(address)
        yield databases
        databases.close()


@pytest.fixture
def new_postgresql(postgresql: Databases) -> Iterator[Callable[[], str]]:
    """Gives the URL of an empty, migrated PostgreSQL database, another one each time."""
    taken: list[str] = []

    def make() -> str:
        taken.append(postgresql.take())
        return postgresql.url(taken[-1])

    yield make
    for name in taken:
        postgresql.leave(name)


@pytest.fixture(scope="session", autouse=True)
def _built_once() -> Iterator[None]:
    """Build the command line from its annotations once: that takes longer than most commands do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session", autouse=True)
def _known_once() -> Iterator[None]:
    """Ask once what is installed, and parse a program's text once: neither changes from one test to the next."""

    @lru_cache(1000)
    def parsed(text: str) -> tuple[parsing.Document | None, tuple[Problem, ...]]:
        document, problems = parsing.parse(text)
        return document, tuple(problems)

    def parse(text: str) -> tuple[parsing.Document | None, list[Problem]]:
        document, problems = parsed(text)
        return document, [*problems]

    installed = metadata.entry_points

    @cache
    def on_path(path: tuple[str, ...], **params: str) -> Any:
        return installed(**params)

    def entry_points(**params: str) -> Any:
        return on_path(tuple(sys.path), **params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metadata, "entry_points", entry_points)
        patch.setattr(metadata.Distribution, "metadata", property(cache(vars(metadata.Distribution)["metadata"].fget)))
        patch.setattr("stampcard.program.reading.parse", parse)
        yield


@pytest.fixture(scope="session", autouse=True)
def _trusted_once() -> Iterator[None]:
    """Read once whom HTTP clients trust, and know that sniffio is not there: httpcore looks for it at every request."""
    trusted = cache(httpx.create_ssl_context)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", trusted)
        patch.setattr(httpx, "create_ssl_context", trusted)
        if find_spec("sniffio") is None:
            patch.setitem(sys.modules, "sniffio", None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _compiled_once() -> Iterator[None]:
    """Let databases of a kind share what SQLAlchemy made of statements: to make it anew takes a sixth of the time."""
    kept: defaultdict[type, LRUCache[Any, Any]] = defaultdict(lambda: LRUCache(5_000))

    def create(*given: Any, **named: Any) -> Engine:
        engine = create_engine(*given, **named)
        engine._compiled_cache = kept[type(engine.dialect)]
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stampcard.storage.database.create_engine", create)
        # A statement is kept under its dialect; those of a class differ in nothing that a statement is made of.
        patch.setattr(DefaultDialect, "__eq__", lambda self, other: type(self) is type(other))
        patch.setattr(DefaultDialect, "__hash__", lambda self: hash(type(self)))
        yield


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite file: to migrate one for each test takes a tenth of a second."""
    file = tmp_path_factory.mktemp("template") / "stampcard.db"
    database = Database(f"sqlite:///{file}")
    migrating.upgrade(database)
    database.close()
    return file


@pytest.fixture
def new_sqlite(sqlite_template: Path, tmp_path: Path) -> Callable[[], str]:
    """Gives the URL of an empty, migrated SQLite file, another one each time."""
    numbers = itertools.count(1)

    def make() -> str:
        file = tmp_path / f"migrated-{next(numbers)}.db"
        shutil.copy(sqlite_template, file)
        return f"sqlite:///{file}"

    return make


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty, migrated database of each kind."""
    if request.param == "postgresql":
        make: Callable[[], str] = request.getfixturevalue("new_postgresql")
        return make()
    file = tmp_path / "stampcard.db"
    shutil.copy(request.getfixturevalue("sqlite_template"), file)
    return f"sqlite:///{file}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty, migrated database of each kind."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def stampcard() -> Iterator[Sequence[str]]:
    """What Python is given to run `stampcard` in a process of its own, which dies where its environment says so.

    What it needs is imported once for all of them; only `stampcard serve` itself, as it is installed, does so alone.
    """
    with tempfile.TemporaryDirectory(prefix="nest-") as folder:
        place = str(Path(folder) / "socket")
        command = [sys.executable, str(MORTAL), "--nest", place]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as nest:  # noqa: S603 - our own
            assert nest.stdout is not None
            assert nest.stdout.readline()
            yield "-I", "-S", str(MORTAL), "--from", place


@pytest.fixture
def spoil() -> Callable[[Path], None]:
    """Writes over a page in the middle of a file, as a failing disk does."""

    def write(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2 // 4096 * 4096)
            file.write(b"\xff" * 4096)

    return write


@pytest.fixture
def sealer() -> Sealer:
    return read_keys(new_key_text())


def make_setting(sealer: Sealer, programs: Programs) -> Setting:
    return Setting(
        merchant="main",
        sealer=sealer,
        numbering=Numbering(),
        hooks=Hooks(PluginTable(ready={})),
        programs=programs,
        targets={"shop": ("balance",)},
        plugins={},
        active=frozenset({"shop"}),
        fetching=frozenset({"shop"}),
        fulfilling={},
        coalesce=timedelta(0),
        longest=timedelta(0),
    )


@pytest.fixture
def setting(sealer: Sealer) -> Setting:
    """What units of work need, with one program: a point for each euro."""
    return make_setting(sealer, one_program())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many comparisons with vendors' own material were left out."""
    skipped = [report for report in terminalreporter.stats.get("skipped", []) if "vendor" in report.keywords]
    where = "against VENDOR_SPECS" if os.environ.get("VENDOR_SPECS") else "VENDOR_SPECS is not set"
    terminalreporter.write_line(f"{VENDOR_CHECKS}: {len(skipped)} skipped ({where})")

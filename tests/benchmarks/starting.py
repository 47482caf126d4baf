"""How long a person waits: for --help, and for a server to be ready."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import samples
import signing
from measuring import Scale
from reporting import Figure

from stampcard.clock import SystemClock
from stampcard.sealing import new_key_text
from stampcard.testing.demonstration import prepare_database

#: Seconds after which a start is taken to have failed.
PATIENCE = 30.0
#: What the script `stampcard` runs.
STAMPCARD = (sys.executable, "-P", "-c", "from stampcard.cli.main import run; run()")
NOTHING = (sys.executable, "-P", "-c", "pass")


def measure(scale: Scale) -> Iterator[Figure]:
    """Each in turn with a Python that does nothing."""
    helps, serves = [], []
    with _installation() as config:
        for _ in range(scale.rounds * scale.starts):
            nothing = _took(NOTHING)
            helps.append((_took((*STAMPCARD, "--help")), nothing))
            serves.append((_ready(config), nothing))
    yield Figure(name="start-help", rounds=tuple(helps))
    yield Figure(name="start-serve", rounds=tuple(serves), also="an installation with 20 rules and one connection")


def _took(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE)  # noqa: S603 - our own
    return time.perf_counter() - started


@contextmanager
def _installation() -> Iterator[Path]:
    """A settings file with a key, a migrated database and a program."""
    with TemporaryDirectory(prefix="stampcard-bench-") as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'bench.db'}"
        prepare_database(url, "main", samples.program_text(), SystemClock().now())
        key_file = folder / "stampcard.key"
        key_file.touch(mode=0o600)
        key_file.write_text(new_key_text(), encoding="utf8")
        tables: dict[str, dict[str, object]] = {
            "http": {"port": 0},
            "connections.shop": signing.settings("https://bench.myshopify.com"),
        }
        lines = [f"database = {json.dumps(url)}", "programs = []"]
        for title, table in tables.items():
            lines += [f"[{title}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        config = folder / "stampcard.toml"
        config.write_text("\n".join(lines) + "\n", encoding="utf8")
        yield config


def _ready(config: Path) -> float:
    """Seconds until a new server says that it is ready."""
    started = time.perf_counter()
    with subprocess.Popen(  # noqa: S603 - our own
        [*STAMPCARD, "--config", str(config), "serve"], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = "stampcard serves at "
            address = next(line for line in process.stderr if line.startswith(said)).removeprefix(said).strip()
            while not _is_ready(address):
                if time.perf_counter() - started > PATIENCE:
                    message = "the server does not become ready"
                    raise TimeoutError(message)
                time.sleep(0.01)
            return time.perf_counter() - started
        finally:
            process.terminate()


def _is_ready(address: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    finally:
        connection.close()

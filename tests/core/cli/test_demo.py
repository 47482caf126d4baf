import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from stampcard.cli.main import app
from stampcard_hubspot.simulator import HubSpotSimulator
from stampcard_shopify.simulator import ShopifySimulator


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["demo", "--exit", *arguments])


def test_the_demo_proves_itself_and_tells_its_troubles_in_plain_lines_where_there_is_no_terminal() -> None:
    result = run("--orders", "40")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "proved: not a point is missing"
    assert "because the answer got lost (" in result.stdout
    assert "FAIL" not in result.stdout
    assert "\x1b" not in result.stderr
    first, *reports = result.stderr.splitlines()
    assert first.startswith("Stampcard serves at http://127.0.0.1:")
    assert reports[-1].startswith("received ")
    assert ", waiting 0, " in reports[-1]


def test_on_a_terminal_the_figures_change_in_place(tmp_path: Path, stampcard: Sequence[str]) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, *stampcard, "demo", "--orders", "5", "--exit"]
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=theirs, text=True
    ) as process:
        os.close(theirs)
        drawn = b""
        # On Linux a terminal that the other side has closed is an error to read.
        with suppress(OSError):
            while part := os.read(ours, 65536):
                drawn += part
        assert process.stdout is not None
        printed = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0, printed
    assert printed.splitlines()[-1] == "proved: not a point is missing"
    assert b"balances pushed" in drawn
    assert b"\x1b[1A" in drawn


def test_a_demo_that_is_not_proved_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ShopifySimulator.expected

    def greedy(shop: ShopifySimulator, points_per_unit: Decimal, welcome: int) -> dict[str, int]:
        return {who: points + 1 for who, points in honest(shop, points_per_unit, welcome).items()}

    monkeypatch.setattr(ShopifySimulator, "expected", greedy)
    result = run("--orders", "3")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "NOT proved: see the lines marked FAIL"


def test_a_vendor_that_nobody_can_simulate_is_named() -> None:
    result = run("--simulator", "acme")
    assert (result.exit_code, result.stderr) == (1, "error: there is no simulator of 'acme'\n")


def test_a_vendor_that_is_no_shop_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = SimpleNamespace(build=HubSpotSimulator)
    monkeypatch.setattr("stampcard.cli.simulators.simulator_of", lambda _: crm)
    result = run("--simulator", "hubspot")
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr == "error: --simulator: 'hubspot' is no shop, so no orders come from it. Name a storefront\n"


def test_ctrl_c_ends_the_demo_with_one_clean_line(tmp_path: Path) -> None:
    # Whoever runs tests in the background lets them ignore Ctrl-C; at a terminal nobody does.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-P", "-c", f"{heard}from stampcard.cli.main import run; run()", "demo", "--rate", "1"]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(  # noqa: S603 - our own interpreter and program
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Stampcard serves at")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "stopped, so nothing is proved"
    assert "Traceback" not in err
    assert list(tmp_path.glob("stampcard-demo-*")) == []

"""A plugin that only decides about requests keeps the contract, too."""

from __future__ import annotations

from pathlib import Path

import pytest
import stampcard_campus

from stampcard.testing.contract import PluginContract
from stampcard.testing.installing import install

PROJECT = Path(__file__).parent / "stampcard-campus"


@pytest.fixture(autouse=True)
def _discoverable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(PROJECT, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


class TestCampus(PluginContract):
    plugin = stampcard_campus
    settings = {}  # noqa: RUF012 - a declaration, never changed
    proofs = {"student": {"number": "10 0000 0008"}}  # noqa: RUF012

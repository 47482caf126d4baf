"""Makes the sample importable, and discoverable while one of its tests runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stampcard.testing.installing import install

PROJECT = Path(__file__).parent / "stampcard-sample"
sys.path.append(str(PROJECT))


@pytest.fixture(scope="session")
def installed_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample as an installer would leave it."""
    folder = tmp_path_factory.mktemp("installed")
    install(PROJECT, folder)
    return folder


@pytest.fixture(autouse=True)
def _discoverable(installed_sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(installed_sample))

"""Somebody who imports files, over each kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest

from stampcard.applying.setting import Setting
from stampcard.storage.database import Database
from stampcard.testing.importing import Desk


@pytest.fixture
def desk(database: Database, setting: Setting, tmp_path: Path) -> Desk:
    return Desk(database, setting, tmp_path)

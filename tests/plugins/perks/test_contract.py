"""A plugin that makes rewards of its own kind real and vouches for shoppers keeps the contract, too."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
import stampcard_perks

from stampcard.testing.contract import PluginContract
from stampcard.testing.installing import install

PROJECT = Path(__file__).parent / "stampcard-perks"
TOKEN = "a-token-of-the-taxi"
SECRETS = ("a-newer-secret-of-the-app", "an-older-secret-of-the-app")


@pytest.fixture(autouse=True)
def _discoverable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(PROJECT, tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


class TestPerks(PluginContract):
    plugin = stampcard_perks
    settings = {"token": TOKEN, "app_secrets": SECRETS}  # noqa: RUF012 - a declaration, never changed
    credentials = (TOKEN, *SECRETS)

    def vendor(self, request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] != f"Bearer {TOKEN}":
            return httpx.Response(401)
        return httpx.Response(200, json={"code": "TAXI-1", "valid": request.method == "PUT"})

"""The server itself: where it listens."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.webhooks.conftest import settings_in

from stampcard.app import Application
from stampcard.errors import ConfigurationError
from stampcard.settings.model import HttpSettings
from stampcard_webhooks.server import serving


async def test_an_address_that_cannot_be_had_is_told_with_the_setting_to_change(api: Any, tmp_path: Path) -> None:
    taken = urlsplit(api.address).port
    for host, port, setting, words in (
        ("127.0.0.1", taken, "http.port", f"{taken} is in use by another program"),
        ("192.0.2.1", 0, "http.host", "192.0.2.1:0 cannot be opened"),
        ("no.such.host.invalid", 0, "http.host", "no.such.host.invalid:0 cannot be opened"),
    ):
        settings = settings_in(tmp_path, f"sqlite:///{tmp_path}/other.db", {})
        application = Application(settings.model_copy(update={"http": HttpSettings(host=host, port=port)}))
        await application.open(loops=False)
        try:
            with pytest.raises(ConfigurationError) as caught:
                async with serving(application):
                    pass
        finally:
            await application.close()
        assert (caught.value.setting, words in caught.value.problem) == (setting, True)

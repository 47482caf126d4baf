from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from stampcard.plugin import PluginSettings
from stampcard.testing.rules.case import Case

#: Shorter ones are found in texts that have nothing to do with them.
SHORTEST = 8


class ConfiguringRules(Case):
    """What a connection's section may say, and what of it is ever shown."""

    def test_settings_refuse_what_they_do_not_know(self) -> None:
        """A misspelt setting is an error at the start, not silence."""
        with pytest.raises(ValidationError):
            self._read(no_such_setting=1)

    def test_settings_have_an_api_url(self) -> None:
        """`api_url` leads all calls elsewhere, so that a simulator can stand in for the vendor."""
        if not self.calls_by_http:
            pytest.skip("calls nobody by HTTP")
        assert "api_url" in self.manifest().settings.model_fields
        assert "127.0.0.1:9" in self._read(api_url="http://127.0.0.1:9").outbound_hosts()

    def test_settings_hide_their_secrets(self) -> None:
        """No secret shows in a settings' repr, text or JSON, or in the error about a wrong section."""
        for text in self._shown():
            for secret in self.hidden():
                assert secret not in text, "a secret shows: make it a SecretStr"

    def hidden(self) -> list[str]:
        """What must never be shown."""
        found = [*self.secrets, *self.credentials]
        short = [secret for secret in found if len(secret) < SHORTEST]
        assert not short, f"secrets of a test have at least {SHORTEST} characters, so that they can be told from words"
        for secret in found:
            assert secret in repr(self.settings), "a secret that is declared does not stand in the settings"
        return found

    def _read(self, **changes: object) -> PluginSettings:
        return self.manifest().settings.model_validate({**self.settings, **changes})

    def _shown(self) -> Iterator[str]:
        settings = self._read()
        yield from (repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump()))
        for key, value in self.settings.items():
            rest = {name: kept for name, kept in self.settings.items() if name != key}
            for wrong in (rest, {**rest, f"{key}x": value}, {**self.settings, key: {"x": [value]}}):
                try:
                    self.manifest().settings.model_validate(wrong)
                except ValidationError as error:
                    yield str(error)

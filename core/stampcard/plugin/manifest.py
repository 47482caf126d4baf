from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from stampcard.domain.value import Value

#: Major and minor version of the plugin API; a host loads plugins of its own major and a minor no newer than its own.
API_VERSION = (1, 8)


class PluginSettings(BaseModel):
    """The settings of one connection; a subclass per plugin.

    Unknown keys are refused. Secrets are `SecretStr`, or a list of them where a vendor rotates. Every vendor plugin has
    `api_url`, so that tests and simulators can stand in for the vendor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    def outbound_hosts(self) -> tuple[str, ...]:
        """The hosts (``host`` or ``host:port``) that a connection with these settings calls.

        That of `api_url`, unless a plugin says more; calls to any other host are refused.
        """
        netloc = urlsplit(str(getattr(self, "api_url", None) or "")).netloc.rpartition("@")[2]
        return (netloc,) if netloc else ()


class PluginManifest(Value, frozen=True):
    """Who a plugin is: `name` equals its entry point, folder, settings section and docs page.

    `asks`: the settings that whoever adds a connection is asked for, in this order; without it, those that must be given.
    """

    name: str
    summary: str
    settings: type[PluginSettings]
    asks: tuple[str, ...] = ()
    api_version: tuple[int, int] = API_VERSION

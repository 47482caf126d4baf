"""What an installation is told: environment over secret files over stampcard.toml over defaults."""

from stampcard.settings.loading import load_settings, load_with_origins
from stampcard.settings.model import (
    DeliverSettings,
    HttpSettings,
    KeepSettings,
    LogSettings,
    MembersSettings,
    SecuritySettings,
    Settings,
)

__all__ = [
    "DeliverSettings",
    "HttpSettings",
    "KeepSettings",
    "LogSettings",
    "MembersSettings",
    "SecuritySettings",
    "Settings",
    "load_settings",
    "load_with_origins",
]

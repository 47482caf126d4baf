"""Where the running server is, for commands that talk to it."""

from __future__ import annotations

from stampcard.errors import ConfigurationError
from stampcard.settings import HttpSettings

#: Addresses that stand for all of a machine's own.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound to it


def address_of(http: HttpSettings) -> str:
    """Where the server listens, as seen from this machine; raises ConfigurationError if the settings do not tell."""
    host = _ANY.get(http.host, http.host)
    if http.port:
        return f"http://{f'[{host}]' if ':' in host else host}:{http.port}"
    if http.public_url is None:
        raise ConfigurationError("http.port", "is 0, so nobody knows where the server listens", "Say it with --url")
    return http.public_url

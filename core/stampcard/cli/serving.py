"""Whether a server runs, and where it is, for commands that talk to it."""

from __future__ import annotations

from stampcard.clock import SystemClock
from stampcard.errors import ConfigurationError
from stampcard.settings import HttpSettings
from stampcard.storage import leasing
from stampcard.storage.database import Database

#: Addresses that stand for all of a machine's own.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nothing is bound to it


def is_served(database: Database, merchant: str) -> bool:
    """Whether a process serves this database now."""
    if database.path is None:
        now = SystemClock().now()
        return database.read_now(lambda connection: leasing.is_held(connection, merchant, "timers", now))
    try:
        database.claim_file()  # let go when the database is closed
    except ConfigurationError:
        return True
    return False


def address_of(http: HttpSettings) -> str:
    """Where the server listens, as seen from this machine; raises ConfigurationError if the settings do not tell."""
    host = _ANY.get(http.host, http.host)
    if http.port:
        return f"http://{f'[{host}]' if ':' in host else host}:{http.port}"
    if http.public_url is None:
        raise ConfigurationError("http.port", "is 0, so nobody knows where the server listens", "Say it with --url")
    return http.public_url

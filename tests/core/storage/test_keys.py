"""API keys as stored."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stampcard.errors import RequestRefused
from stampcard.storage.database import Database
from stampcard.storage.keys import create_key, find_key, list_keys, revoke_key
from stampcard.testing.building import NOON


def test_a_key_is_found_by_its_text_alone(database: Database) -> None:
    key, text = database.write_now(
        lambda connection: create_key(connection, "main", "till", ["points:write", "members:read"], None, NOON)
    )

    assert text.startswith(f"sc_{key.id}_")
    assert key.scopes == ("members:read", "points:write")
    found = database.read_now(lambda connection: find_key(connection, text, NOON))
    assert found == key
    for wrong in ("", text.upper(), text + "0", text.replace(key.id, "0" * 12), f"sc_{key.id}_{'0' * 64}"):
        assert database.read_now(lambda connection, wrong=wrong: find_key(connection, wrong, NOON)) is None  # type: ignore[misc]


def test_an_expired_and_a_revoked_key_are_listed_but_not_found(database: Database) -> None:
    ends = NOON + timedelta(days=1)
    key, text = database.write_now(lambda connection: create_key(connection, "main", "a", ["admin"], ends, NOON))
    other, gone = database.write_now(lambda connection: create_key(connection, "main", "b", ["admin"], None, NOON))

    assert database.write_now(lambda connection: revoke_key(connection, "main", other.id, NOON))
    assert database.write_now(lambda connection: revoke_key(connection, "main", other.id, ends))
    assert not database.write_now(lambda connection: revoke_key(connection, "other", key.id, NOON))

    assert database.read_now(lambda connection: find_key(connection, text, NOON)) == key
    assert database.read_now(lambda connection: find_key(connection, text, ends)) is None
    assert database.read_now(lambda connection: find_key(connection, gone, NOON)) is None
    listed = {one.name: one for one in database.read_now(lambda connection: list_keys(connection, "main"))}
    assert (listed["a"].expires_at, listed["b"].revoked_at) == (ends, NOON)
    assert database.read_now(lambda connection: list_keys(connection, "other")) == []


@pytest.mark.parametrize("scopes", [[], ["members"], ["admin", "root"]])
def test_a_key_has_only_scopes_that_exist(database: Database, scopes: list[str]) -> None:
    with pytest.raises(RequestRefused, match="members:read"):
        database.write_now(lambda connection: create_key(connection, "main", "a", scopes, None, NOON))

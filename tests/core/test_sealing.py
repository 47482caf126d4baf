from __future__ import annotations

import pytest

from stampcard.errors import ConfigurationError
from stampcard.sealing import Sealer, new_key, new_key_text, read_keys


def with_newer(text: str, word: str = "seal") -> str:
    first, rest = text.split("\nseal ", 1)
    return f"{first}\n{word} {new_key()}\nseal {rest}"


def test_what_a_former_key_sealed_opens_and_is_sealed_anew_by_the_newest() -> None:
    before = new_key_text()
    old, new = read_keys(before), read_keys(with_newer(before))
    sealed = old.seal(b"ann@example.com" * 100, b"member:1")
    fresh = new.reseal(sealed, b"member:1")
    assert (sealed[:4], fresh[:4]) == (old.newest, new.newest)
    assert new.open(sealed, b"member:1") == new.open(fresh, b"member:1") == b"ann@example.com" * 100
    with pytest.raises(ConfigurationError, match="altered or moved"):
        new.reseal(sealed, b"member:2")
    with pytest.raises(ConfigurationError, match="a key that is not in the key file"):
        old.open(fresh, b"member:1")


def test_a_prepared_key_opens_and_does_not_seal() -> None:
    text = new_key_text()
    prepared = read_keys(with_newer(text, "next"))
    assert prepared.newest == read_keys(text).newest
    assert len(prepared.known) == 2


def test_a_value_of_an_unknown_key_makes_it_read_the_keys_anew() -> None:
    before = new_key_text()
    after = with_newer(before)
    texts = [after]
    running = read_keys(before).kept(lambda: read_keys(texts[0]))
    sealed = read_keys(after).seal(b"x", b"")
    assert running.open(sealed, b"") == b"x"
    assert running.newest == read_keys(after).newest
    texts[0] = with_newer(new_key_text())
    with pytest.raises(ConfigurationError, match="tombstone key is another"):
        running.renew()
    assert running.open(sealed, b"") == b"x"


def test_rotation_changes_no_fingerprint_and_no_answer() -> None:
    text = new_key_text()
    before, after, another = read_keys(text), read_keys(with_newer(text)), read_keys(new_key_text())
    told = [(one.fingerprint("ann"), one.answer("ann")) for one in (before, after, another)]
    assert told[0] == told[1]
    assert len({*told[0], *told[2]}) == 4


def test_a_key_file_without_a_sealing_key_says_so() -> None:
    with pytest.raises(ConfigurationError, match="has no line 'seal KEY'"):
        read_keys(f"tombstone {new_key()}\nnext {new_key()}\n")
    with pytest.raises(ConfigurationError, match="32 bytes"):
        Sealer([b"short"], b"x" * 32)

"""How many parts a text takes as an SMS, each of which costs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.domain.texting import is_basic, parts_of

#: 3GPP TS 23.038, 6.2.1: row after row of the default alphabet, without the escape.
ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
#: 6.2.1.1: what takes an escape and a letter.
EXTENSION = "\f^{}\\[~]|€"
GRIN = "\U0001f600"


@pytest.mark.parametrize(
    ("length", "parts"),
    [(0, 1), (1, 1), (159, 1), (160, 1), (161, 2), (306, 2), (307, 3), (459, 3), (460, 4), (1530, 10), (1531, 11)],
)
def test_a_text_in_the_default_alphabet_has_160_letters_or_153_in_each_of_several_parts(
    length: int, parts: int
) -> None:
    assert parts_of("a" * length) == parts


@pytest.mark.parametrize(
    ("length", "parts"),
    [(1, 1), (69, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4), (670, 10), (671, 11)],
)
def test_a_text_in_any_other_alphabet_has_70_letters_or_67_in_each_of_several_parts(length: int, parts: int) -> None:
    assert parts_of("ن" * length) == parts


def test_the_default_alphabet_is_the_one_of_the_standard() -> None:
    assert len(ALPHABET) == 127
    assert {letter for letter in map(chr, range(0x10000)) if letter in ALPHABET + EXTENSION} == {
        letter for letter in map(chr, range(0x10000)) if is_basic(letter)
    }


@pytest.mark.parametrize("letter", ALPHABET)
def test_each_letter_of_the_default_alphabet_takes_one_place(letter: str) -> None:
    assert (parts_of(letter * 160), parts_of(letter * 161)) == (1, 2)


@pytest.mark.parametrize("letter", EXTENSION)
def test_each_letter_of_the_extension_takes_two_places(letter: str) -> None:
    assert (parts_of(letter * 80), parts_of(letter * 81)) == (1, 2)
    # 76 of them fill 152 of the 153 places: half of the next one does not go into the last.
    assert (parts_of(letter * 152), parts_of(letter * 153)) == (2, 3)


def test_one_letter_outside_the_alphabet_changes_that_of_the_whole_text() -> None:
    assert (parts_of("a" * 160), parts_of("a" * 159 + "’")) == (1, 3)
    assert [is_basic(text) for text in ("Grüße", "Ærø", "10 €", "naïve", "Łódź", "it’s", "ç", "Ç", "\t")] == [
        True, True, True, False, False, False, False, True, False,
    ]  # fmt: skip


def test_a_letter_of_two_places_at_the_border_goes_to_the_next_part() -> None:
    assert parts_of("a" * 158 + "€") == 1
    assert parts_of("a" * 159 + "€") == 2
    # 152 + 2 do not fit into 153: the first part stays one short, and so 306 places are too many for two.
    assert parts_of("a" * 152 + "€" + "a" * 151) == 2
    assert parts_of("a" * 152 + "€" + "a" * 152) == 3
    assert parts_of("a" * 151 + "€" + "a" * 153) == 2


def test_an_emoji_takes_two_places_and_is_never_torn_apart() -> None:
    assert (parts_of(GRIN * 35), parts_of(GRIN * 36)) == (1, 2)
    # 33 of them fill 66 of 67 places.
    assert (parts_of(GRIN * 66), parts_of(GRIN * 67)) == (2, 3)
    assert parts_of("ن" * 66 + GRIN + "ن" * 65) == 2
    assert parts_of("ن" * 66 + GRIN + "ن" * 66) == 3
    # A family is seven characters, of which four take two places.
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
    assert (parts_of(family * 6), parts_of(family * 7)) == (1, 2)


def alone(text: str) -> int:
    """Places that a text takes."""
    if is_basic(text):
        return sum(2 if letter in EXTENSION else 1 for letter in text)
    return len(text.encode("utf-16-le")) // 2


@given(st.text(alphabet=st.sampled_from("ab€[n" + GRIN + "ن"), max_size=400))
def test_parts_hold_everything_and_waste_at_most_one_place_each(text: str) -> None:
    single, several = (160, 153) if is_basic(text) else (70, 67)
    places, parts = alone(text), parts_of(text)
    if places <= single:
        assert parts == 1
    else:
        assert -(-places // several) <= parts <= -(-places // (several - 1))


@given(st.text(alphabet=st.sampled_from("ab€" + GRIN), max_size=200), st.sampled_from("a€" + GRIN))
def test_a_longer_text_never_takes_fewer_parts(text: str, more: str) -> None:
    assert parts_of(text + more) >= parts_of(text)

"""What people mean who write back: no more of it, more of it, a word of help, their points, or nothing that is plain."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stampcard.engine.replying import WORDS, meaning_of
from stampcard.program.templates import LANGUAGES, ready

#: Signs that people, keyboards and gateways put around a word.
AROUND = (
    "{}.",
    "{}!!!",
    "  {}\n",
    "{}?",
    "¡{}!",
    '"{}"',
    "“{}”",
    "«{}»",
    "({})",
    "*{}*",
    "{} 🙏",
    "{}؟",
    "\u200f{}\u200e",
    "{}…",
    "- {} -",
)


@pytest.mark.parametrize(("meaning", "word"), [(meaning, word) for meaning, of in WORDS.items() for word in sorted(of)])
def test_a_word_alone_means_what_it_says_however_it_is_written(meaning: str, word: str) -> None:
    assert meaning_of(word) == meaning
    assert meaning_of(word.upper()) == meaning
    assert meaning_of(word.title()) == meaning
    assert {meaning_of(written.format(word)) for written in AROUND} == {meaning}


def test_no_word_means_two_things() -> None:
    known = [word for of in WORDS.values() for word in of]
    assert len(known) == len(set(known))


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("afmelden", "stop"), ("hulp", "help"), ("punten", "balance"), ("beloningen", "rewards"), ("aanmelden", "start"),
        ("basta", "stop"), ("aiuto", "help"), ("punti", "balance"), ("premi", "rewards"), ("iscrivimi", "start"),
        ("berhenti", "stop"), ("bantuan", "help"), ("poin", "balance"), ("hadiah", "rewards"), ("mulai", "start"),
        ("henti", "stop"), ("tolong", "help"), ("baki", "balance"), ("ganjaran", "rewards"), ("mula", "start"),
        ("إيقاف", "stop"), ("مساعدة", "help"), ("رصيد", "balance"), ("مكافآت", "rewards"), ("ابدأ", "start"),
    ],
)  # fmt: skip
def test_every_language_that_is_shipped_has_its_words(text: str, meaning: str) -> None:
    assert meaning_of(text) == meaning


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["stopped", "started", "help"])
def test_every_word_in_capitals_that_a_text_tells_people_to_write_is_understood(language: str, name: str) -> None:
    told = re.sub(r"\{[{%].*?[%}]\}", "", ready(language)[name]["text"])
    words = set(re.findall(r"\b[A-Z]{4,}\b", told))
    assert words
    assert {word: meaning_of(word) for word in words if not meaning_of(word)} == {}


@pytest.mark.parametrize(
    "text",
    [
        "STOP", "stop", "Stop.", "STOP!!!", "“Stop”", "ＳＴＯＰ", "Stop please", "please stop", "Please, stop!", "STOP NOW PLEASE",
        "stop, thanks", "Thank you, stop", "stop pls", "Stop alsjeblieft", "basta per favore", "tolong berhenti",
        "stop all", "STOPALL", "unsubscribe", "please unsubscribe me", "Unsubscribe me from this", "opt out", "OPT-OUT",
        "Opt me out please", "end", "quit", "Cancel.", "revoke",
        "can you stop sending these", "Can you please stop sending me these?", "stop texting me", "Stop texting!",
        "quit messaging me", "cease contacting me", "stop emailing", "stop these messages", "please stop all messages",
        "remove me from your list", "Remove my number", "delete my phone from your system", "take me off your list",
        "Take my number off this", "do not text me", "Don't text me again", "don’t ever contact me again", "dont message me",
        "never write to me again", "no longer contact me", "no more texts", "No more messages, please", "I want no more e-mails",
        "I revoke my consent", "I withdraw consent", "leave me alone", "wrong number", "Sorry, you have the wrong number!",
        "niet meer sturen", "Niet meer berichten", "non mandate più messaggi", "Non scrivete più", "Jangan kirim lagi", "jangan hantar lagi",
        "stop 🛑", "*STOP*", "\u200eتوقف\u200f", "إيقاف.", "الغاء!",
    ],
)  # fmt: skip
def test_who_wants_nothing_more_is_understood(text: str) -> None:
    assert meaning_of(text) == "stop"


@pytest.mark.parametrize(
    "text",
    [
        "", "   ", "…", "👍", "ok", "thanks", "no", "hello", "what a nice day",
        "don't stop", "don’t stop", "Don't stop!", "dont stop", "do not stop", "never stop", "please don't stop sending these",
        "Please don’t stop sending these", "Do not stop texting me", "Never stop writing",
        "stop by tomorrow", "I'll stop by tomorrow", "Can I stop by after work?", "is there a bus stop near you?",
        "nonstop", "STOPWATCH", "unstoppable", "full stop", "I stopped by yesterday", "stop in the name of love",
        "when does the promotion end?", "until the end of the month", "weekend", "How do I cancel my order?", "can you cancel it",
        "quit smoking", "I had to quit my job", "the opt outlet",
        "How long does it take me to get 100 points?", "Will you take my phone instead of the card?",
        "You gave me the wrong number of points", "no more than two coffees", "is there no more tea?",
        "my points", "what is my balance?", "I need help", "help me find a shop", "a reward would be nice",
        "start a new card", "yes please", "I would say yes", "please call me", "send me a text",
        "ik kom niet meer", "un momento", "jangan lupa saya", "محطة توقف",
    ],
)  # fmt: skip
def test_what_is_not_plainly_meant_so_is_left_to_people(text: str) -> None:
    assert meaning_of(text) == ""


@pytest.mark.parametrize("text", ["start please", "help please", "please balance"])
def test_courtesy_counts_around_stop_alone(text: str) -> None:
    assert meaning_of(text) == ""


def test_letters_that_two_alphabets_write_alike_are_those_of_one() -> None:
    # NFKC: full width, small capitals of typewriters, and letters that are composed.
    assert meaning_of("ｓｔｏｐ") == "stop"
    assert meaning_of("𝐒𝐓𝐎𝐏") == "stop"
    assert meaning_of("إيقاف") == "stop"


@given(st.text(max_size=200))
def test_whatever_is_written_something_is_made_of_it(text: str) -> None:
    assert meaning_of(text) in {*WORDS, ""}


@given(
    st.sampled_from(sorted(WORDS["stop"])),
    st.text(alphabet=" .,!?\"'“”*-_🙏", max_size=8),
    st.text(alphabet=" .,!?🛑", max_size=8),
)
def test_no_sign_hides_that_somebody_wants_no_more(word: str, before: str, after: str) -> None:
    assert meaning_of(before + word + after) == "stop"


@pytest.mark.parametrize(
    "text",
    [
        "I can't stop writing about your coffee", "nobody can stop this", "Please don't send the order to my old address",
        "don't call it a comeback", "non voglio perdere i miei punti", "I want to stop by tomorrow",
    ],
)  # fmt: skip
def test_what_only_sounds_like_it_ends_nothing(text: str) -> None:
    assert meaning_of(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "stop it", "STOP STOP STOP", "stop messages", "stop the messages", "I want to stop", "I would like to unsubscribe",
        "I don't want these messages", "do not contact me again", "non voglio più messaggi",
    ],
)  # fmt: skip
def test_whoever_says_it_in_short_wants_nothing_more(text: str) -> None:
    assert meaning_of(text) == "stop"

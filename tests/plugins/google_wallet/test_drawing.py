"""What a card shows, and the code that a phone draws on it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from stampcard.engine.codes import check_code, new_number, read_code, rotating_code
from stampcard.plugin import CardField, PassPush, PassSink, RotatingCode
from stampcard.sealing import new_key_text, read_keys
from stampcard_google_wallet.drawing import BARCODES, localised, object_of
from stampcard_google_wallet.simulator import GoogleWalletSimulator

Pushes = Callable[..., PassPush]
SERIAL = "a0" * 12
#: Appendix B of RFC 6238, for SHA-1 and its key.
RFC_KEY = b"12345678901234567890".hex()
RFC_CODES = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
}


async def test_a_phone_draws_the_codes_of_rfc_6238(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    code = RotatingCode(pattern="R7.{timestamp}.{password}", key=RFC_KEY, period=30, digits=8)
    await passes.deliver([push(rotating=code)])
    for at, password in RFC_CODES.items():
        assert google.code(SERIAL, datetime.fromtimestamp(at, UTC)) == f"R7.{at}.{password}"
    assert "barcode" not in google.card(SERIAL)
    assert google.card(SERIAL)["rotatingBarcode"]["alternateText"] == "1234 1234 1234"


async def test_what_a_phone_draws_is_vouched_for_by_the_core(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    sealer, number = read_keys(new_key_text()), new_number()
    code = rotating_code(sealer, "main", number, "https://points.example/c/")
    await passes.deliver([push(rotating=code)])
    now = datetime(2026, 11, 30, 12, 0, 17, tzinfo=UTC)
    for seconds in (0, 13, 29, 31, 3600):
        at = now + timedelta(seconds=seconds)
        read = read_code(google.code(SERIAL, at))
        assert (read.kind, read.number) == ("rotating", number)
        check_code(sealer, "main", read, at)


async def test_a_card_that_stops_rotating_shows_its_lasting_code_again(
    google: GoogleWalletSimulator, passes: PassSink, push: Pushes
) -> None:
    code = RotatingCode(pattern="R7.{timestamp}.{password}", key=RFC_KEY, period=30, digits=8)
    await passes.deliver([push(rotating=code)])
    await passes.deliver([push()])
    assert "rotatingBarcode" not in google.card(SERIAL)
    assert google.code(SERIAL, datetime(2026, 1, 1, tzinfo=UTC)) == push().code


@pytest.mark.parametrize("kind", sorted(BARCODES))
def test_every_kind_of_code_has_a_name_at_google(push: Pushes, kind: str) -> None:
    drawn = object_of(push(design=replace(push().design, barcode=kind)), "1.a", "1.b")
    assert drawn["barcode"]["type"] == BARCODES[kind]


def test_texts_are_told_in_all_languages_and_the_programs_own_stands_for_the_others() -> None:
    told = localised({"nl": "Punten", "pt_BR": "Pontos", "en": "Points"}, "en")
    assert told["defaultValue"] == {"language": "en", "value": "Points"}
    assert told["translatedValues"] == [{"language": "nl", "value": "Punten"}, {"language": "pt-BR", "value": "Pontos"}]


def test_a_figure_without_a_label_is_called_by_its_name(push: Pushes) -> None:
    drawn = object_of(push(fields=(CardField(name="streak", text="3", number="3"),)), "1.a", "1.b")
    assert drawn["loyaltyPoints"]["label"] == "streak"

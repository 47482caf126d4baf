from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from stampcard.errors import RequestRefused
from stampcard.program.beginning import local, read_beginning

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-01", datetime(2026, 11, 30, 23, tzinfo=UTC)),
        ("2026-07-01", datetime(2026, 6, 30, 22, tzinfo=UTC)),
        ("2026-12-01T08:00", datetime(2026, 12, 1, 7, tzinfo=UTC)),
        ("2026-12-01 08:00", datetime(2026, 12, 1, 7, tzinfo=UTC)),
        ("2026-12-01T08:00Z", datetime(2026, 12, 1, 8, tzinfo=UTC)),
    ],
)
def test_a_day_begins_at_midnight_in_the_programs_zone(text: str, moment: datetime) -> None:
    assert read_beginning(text, BERLIN) == moment


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-13-01", "01.12.2026", "0001-01-01", "9999-12-31T23:59-14:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(RequestRefused, match="is no moment: write a day such as"):
        read_beginning(text, BERLIN)


def test_a_moment_is_told_as_people_there_say_it() -> None:
    assert local(datetime(2026, 12, 1, 7, tzinfo=UTC), BERLIN) == "2026-12-01 08:00 Europe/Berlin"

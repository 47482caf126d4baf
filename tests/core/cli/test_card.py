"""Cards at the command line, and the sign that leads people to theirs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.testing import Result

from stampcard.program.templates import LANGUAGES, ready

Run = Callable[..., Result]
Data = Callable[..., Any]
Join = Callable[[str], str]
PROGRAM = """\
program: main
name: Beans
currency: EUR
timezone: Europe/Berlin
wallets: {points: {}}
rules:
  - {id: buy, on: purchase, award: 1 per 1 EUR}
sending: {language: nl}
card: {name: {nl: Bonenkaart, ar: بطاقة الفول}, colour: '#4b2e1e'}
"""
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def public(installed: Path, run: Run) -> Path:
    """The installation has a public address, and a program with a card."""
    file = installed / "stampcard.toml"
    file.write_text(f'{file.read_text()}[http]\npublic_url = "https://loyalty.example.com"\n')
    (installed / "beans.yaml").write_text(PROGRAM, encoding="utf-8")
    assert run("program", "apply", "beans.yaml").exit_code == 0
    return installed


def test_a_card_is_made_shown_and_renewed(run: Run, data: Data, join: Join, public: Path) -> None:
    join("7")
    missing = run("card", "show", "shop:7")
    assert (missing.exit_code, missing.stderr) == (
        1, "error: shop:7 has no card yet. Make one by: stampcard card make shop:7\n",
    )  # fmt: skip
    made = data("card", "make", "shop:7")
    assert data("card", "make", "shop:7") == data("card", "show", "shop:7") == made
    shown = run("card", "show", "shop:7")
    assert shown.stdout.splitlines() == [f"number  {made['shown']}", f"page    {made['url']}"]
    assert made["url"].startswith("https://loyalty.example.com/pass/")
    assert "for the member alone" in shown.stderr

    kept = run("card", "renew", "shop:7", input="n\n")
    assert kept.exit_code != 0
    assert "worth nothing afterwards" in " ".join(kept.stderr.split())
    assert data("card", "show", "shop:7") == made
    renewed = data("card", "renew", "shop:7", "--yes")
    assert renewed["number"] != made["number"]
    assert data("card", "show", "shop:7") == renewed


def test_a_card_of_nobody_is_told_so(run: Run) -> None:
    for command in ("show", "make"):
        unknown = run("card", command, "shop:8")
        assert (unknown.exit_code, "there is no member 'shop:8'" in unknown.stderr) == (1, True)


def texts(file: Path) -> list[tuple[str | None, str | None]]:
    """What stands on a sign: direction and words, line by line."""
    root = ET.fromstring(file.read_text(encoding="utf-8"))  # noqa: S314 - our own
    return [(one.get("direction"), one.text) for one in root.iter(f"{SVG}text")]


def test_a_sign_leads_to_the_page_of_the_program_in_its_language(run: Run, data: Data, public: Path) -> None:
    told = run("card", "poster")
    assert told.stdout == "poster-nl.svg\n"
    lines = " ".join(str(text) for _, text in texts(public / "poster-nl.svg"))
    assert "Bonenkaart" in lines
    assert ready("nl")["pages"]["join_poster"] in lines
    assert "loyalty.example.com/join/main" in lines
    (one,) = data("card", "poster", "--branch", "Berlin Mitte/2", "--output", "signs", "--language", "ar")
    assert one == {
        "file": "signs/poster-ar-berlin-mitte-2.svg",
        "language": "ar",
        "url": "https://loyalty.example.com/join/main?language=ar&branch=Berlin%20Mitte%2F2",
    }
    shown = {text: way for way, text in texts(public / one["file"])}
    assert shown["\u200fبطاقة الفول\u200f"] == "rtl"
    assert shown["loyalty.example.com/join/main"] == "ltr"


def test_signs_in_every_language_and_as_pages(run: Run, public: Path) -> None:
    asked = [word for one in LANGUAGES for word in ("--language", one)]
    told = run("card", "poster", *asked, "--format", "html")
    assert told.stdout.splitlines() == [f"poster-{one}.html" for one in LANGUAGES]
    page = (public / "poster-ar.html").read_text(encoding="utf-8")
    assert '<html lang="ar" dir="rtl">' in page
    assert "script" not in page
    assert "@page{size:A4" in page


def test_people_are_not_led_to_an_address_that_anybody_could_read_along(run: Run, installed: Path) -> None:
    refused = run("card", "poster")
    assert (refused.exit_code, list(installed.glob("poster*"))) == (3, [])
    assert "http.public_url: http://127.0.0.1:8080 is not https" in refused.stderr
    forced = run("card", "poster", "--force")
    assert (forced.exit_code, forced.stdout) == (0, "poster-en.svg\n")
    assert "warning: http.public_url" in forced.stderr


def test_whoever_draws_a_sign_for_a_program_that_takes_nobody_is_warned(run: Run, public: Path) -> None:
    (public / "beans.yaml").write_text(PROGRAM.replace("name: Beans", "state: ended"), encoding="utf-8")
    applied = run("program", "apply", "beans.yaml")
    assert applied.exit_code == 0, applied.stderr
    assert "warning: main has ended" in run("card", "poster").stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--language", "tlh"), 2, "there are no words in 'tlh'; there are in ar, en"),
        (("--branch", "x" * 101), 2, "no name of a branch"),
        (("--program", "mani"), 1, "Did you mean 'main'?"),
        (("--output", "beans.yaml"), 3, "Say another folder by --output"),
    ],
)
def test_what_cannot_be_drawn_says_why(
    run: Run, public: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    refused = run("card", "poster", *arguments)
    assert (refused.exit_code, refused.stdout) == (code, "")
    assert said in " ".join(refused.stderr.replace("│", " ").split())


def test_of_several_programs_one_is_named(run: Run, public: Path) -> None:
    (public / "club.yaml").write_text(PROGRAM.replace("main", "club").replace("points", "miles"), encoding="utf-8")
    assert run("program", "apply", "club.yaml").exit_code == 0
    refused = run("card", "poster")
    assert (refused.exit_code, "say which by --program: " in refused.stderr) == (1, True)
    assert run("card", "poster", "--program", "club").exit_code == 0

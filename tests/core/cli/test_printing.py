from __future__ import annotations

import json

import pytest

from stampcard.cli.printing import say, show, show_json, show_table

#: What a customer may call themselves, so that a terminal clears its screen or takes a new title.
NAME = "Ada\x1b[2J\x9b31m\x07"


def test_what_others_wrote_gives_no_orders_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    show(NAME)
    say(NAME)
    show_table([("NAME",), (f"{NAME}\n",)])
    told = capsys.readouterr()
    assert told.out.splitlines() == [r"Ada\x1b[2J\x9b31m\x07", "NAME", r"Ada\x1b[2J\x9b31m\x07\x0a"]
    assert told.err == "Ada\\x1b[2J\\x9b31m\\x07\n"


def test_lines_and_tabs_stay_and_a_line_that_goes_back_over_itself_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    show("one\r\n\ttwo\rover\n")
    assert capsys.readouterr().out == "one\r\n\ttwo\\x0dover\n\n"


def test_json_says_the_same_to_programs_and_gives_no_orders_either(capsys: pytest.CaptureFixture[str]) -> None:
    show_json({"name": NAME, "city": "Köln"})
    told = capsys.readouterr().out
    assert json.loads(told) == {"name": NAME, "city": "Köln"}
    assert "Köln" in told
    assert told.replace("\n", "").isprintable()

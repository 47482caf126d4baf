from __future__ import annotations

import re
import runpy
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from stampcard.cli.main import app

DOCS = Path(__file__).parents[2] / "docs"
GENERATOR = runpy.run_path(str(DOCS / "commands.py"))


def test_the_page_is_what_the_commands_say_now() -> None:
    page = (DOCS / "reference" / "cli.md").read_text()
    assert page == GENERATOR["page"](), "python docs/commands.py writes it anew"


def test_every_command_and_every_option_has_a_sentence() -> None:
    root = get_command(app)
    assert isinstance(root, TyperGroup)
    for path, command in GENERATOR["commands"](root):
        assert command.help, path
        assert all(one.help for one in command.params), path


def test_every_exit_code_that_a_command_can_end_with_is_on_the_page() -> None:
    page = (DOCS / "reference" / "cli.md").read_text()
    assert set(re.findall(r"^\| (\d+) \|", page, re.MULTILINE)) == {"0", "1", "2", "3", "4", "5", "130"}

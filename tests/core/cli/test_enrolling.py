"""Members join, confirm and leave from the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typer.testing import Result

Run = Callable[..., Result]
Data = Callable[..., Any]
Join = Callable[[str], str]


def test_a_member_leaves_and_comes_back(run: Run, data: Data, join: Join) -> None:
    ann = join("7")
    assert [one["state"] for one in data("member", "memberships", ann)] == ["active"]
    asked = run("member", "leave", "shop:7", "main", input="n\n")
    assert asked.exit_code != 0
    assert run("member", "leave", "shop:7", "main", "--yes").stdout == "left main\n"
    assert run("member", "memberships", ann).stdout.splitlines()[1].split() == [
        "main",
        data("member", "memberships", ann)[0]["joined_at"][:10],
        "left",
    ]
    assert run("member", "join", ann, "main").stdout == "takes part in main\n"
    nothing = run("member", "confirm", ann, "main")
    assert (nothing.exit_code, nothing.stderr) == (1, "error: there is nothing to be confirmed in 'main'\n")
    unknown = run("member", "join", ann, "other")
    assert unknown.stderr == "error: there is no program 'other'\n"

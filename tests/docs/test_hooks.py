from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stampcard.plugin import API_VERSION
from stampcard.testing.rules.naming import hook_specs

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hooks.md"
HOOKS = hook_specs()


def sections(text: str) -> dict[str, str]:
    """The sections of hooks, by the name in their heading."""
    parts = re.split(r"^## `(\w+)`$", text, flags=re.MULTILINE)
    return {name: re.split(r"^## ", part, flags=re.MULTILINE)[0] for name, part in zip(parts[1::2], parts[2::2], strict=True)}  # fmt: skip


def told(section: str) -> str:
    """The signature that a section shows."""
    found = re.findall(r"^```python\n(.+?)\n```$", section, re.MULTILINE | re.DOTALL)
    return " ".join(found[0].split()) if len(found) == 1 else ""


def signature(name: str, spec: Callable[..., Any]) -> str:
    colour = "async def" if inspect.iscoroutinefunction(spec) else "def"
    return f"{colour} {name}{inspect.signature(spec)}".replace("'", "")


def difference(text: str) -> dict[str, tuple[str | None, str | None]]:
    """Each hook whose documentation is not as its spec: what is told, and what is true."""
    page = {name: told(section) for name, section in sections(text).items()}
    true = {name: signature(name, spec) for name, spec in HOOKS.items()}
    return {n: (page.get(n), true.get(n)) for n in page.keys() | true.keys() if page.get(n) != true.get(n)}


def test_every_hook_and_no_other_is_documented_with_its_exact_signature() -> None:
    assert difference(PAGE.read_text()) == {}


@pytest.mark.parametrize(
    ("old", "new", "hook"),
    [
        ("## `event_committed`", "## Watching", "event_committed"),
        ("## Versions", "## `redemption_veto`\n\n## Versions", "redemption_veto"),
        ("async def connect(context", "def connect(context", "connect"),
        ("async def connect(context: ConnectionContext[Any])", "async def connect()", "connect"),
        ("identity: Identity | None", "identity: Identity", "outbound_commands"),
        ("-> Iterable[Adjustment]", "-> list[Adjustment]", "award_adjustments"),
    ],
)
def test_a_page_that_is_wrong_about_a_hook_is_found_out(old: str, new: str, hook: str) -> None:
    text = PAGE.read_text()
    assert old in text
    assert set(difference(text.replace(old, new))) == {hook}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_says_what_a_failure_means_and_since_when_there_is_it(hook: str) -> None:
    section = sections(PAGE.read_text())[hook]
    assert "**A failure**" in section
    assert re.search(r"^Since \d+\.\d+\.$", section, re.MULTILINE)


def test_the_history_ends_with_the_present_version_and_tells_of_every_hook() -> None:
    history = PAGE.read_text().partition("| Version | What changed |")[2]
    versions = [tuple(map(int, found)) for found in re.findall(r"^\| (\d+)\.(\d+) \|", history, re.MULTILINE)]
    assert versions == sorted(versions)
    assert versions[-1] == API_VERSION
    assert set(re.findall(r"`(\w+)`", history)) == set(HOOKS)

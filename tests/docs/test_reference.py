"""The reference pages say what the code says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from runpy import run_path
from typing import Any, get_args

import pytest

from stampcard import errors
from stampcard.domain.contacts import FieldKind, FieldOwner
from stampcard.domain.ledger import ACCOUNTS, EntryKind
from stampcard.engine.describing import order_variables
from stampcard.plugin import Contacts, Outcome
from stampcard.plugin.manifest import API_VERSION
from stampcard.program.conditions import compile_conditions
from stampcard.program.reading import read_program
from stampcard.testing.building import LONG_AGO, NOON, order
from stampcard.testing.rules.case import Case
from stampcard_hubspot.settings import SCOPES, ContactMap, HubSpotSettings
from stampcard_hubspot.webhooks import NOTICES
from stampcard_shopify.webhooks import TOPICS as SHOPIFY
from stampcard_woocommerce.webhooks import TOPICS as WOOCOMMERCE

Tables = Callable[[str], list[list[dict[str, str]]]]


@pytest.fixture(scope="module")
def generate() -> dict[str, Any]:
    return run_path(str(Path(__file__).parents[2] / "docs" / "generate.py"))


def test_no_generated_part_is_out_of_date(generate: dict[str, Any], root: Path) -> None:
    renewed = generate["renewed"]
    pages: list[Path] = generate["pages"]()
    stale = [page.relative_to(root) for page in pages if renewed(page.read_text()) != page.read_text()]
    assert not stale, "run: make docs"


def test_every_part_that_can_be_generated_stands_on_a_page(generate: dict[str, Any]) -> None:
    written = "".join(page.read_text() for page in generate["pages"]())
    assert set(re.findall(r"<!-- generated: ([a-z-]+) -->", written)) == set(generate["PARTS"])


def test_every_error_has_an_entry_and_every_entry_an_error(root: Path) -> None:
    page = (root / "docs/reference/errors.md").read_text()
    found = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
    assert set(re.findall(r"^### (\w+)$", page, re.MULTILINE)) == found
    tree = (errors.__doc__ or "").partition("\n\n")[2]
    assert set(re.findall(r"\b[A-Z]\w+(?=\s{2}|$)", tree, re.MULTILINE)) == found


def test_every_code_on_the_page_of_errors_is_one_that_the_code_gives(tables: Tables, root: Path) -> None:
    codes = {row["Code"] for table in tables("docs/reference/errors.md") for row in table} - {"the name of an error"}
    sources = "".join(path.read_text() for path in (root / "core/stampcard").rglob("*.py"))
    assert {code for code in codes if f'"{code}"' not in sources} == set()


def test_every_example_of_a_condition_can_be_decided(generate: dict[str, Any]) -> None:
    text = generate["PROGRAM"].read_text(encoding="utf-8").partition("rules:")[0] + "rules:\n"
    examples: dict[str, tuple[str, str]] = generate["EXAMPLES"]
    for number, (on, condition) in enumerate(examples.values()):
        text += f'  - {{id: example-{number}, on: {on}, award: 1, when: "{condition}"}}\n'
    program = read_program(text, "the examples")
    known = {
        "now": NOON,
        "member.joined_at": LONG_AGO,
        "member.days": 400,
        "history.spend.last_year": 1200.0,
        "history.orders.ever": 3,
        "member.attributes": {"country": "DE"},
        "event.data": {"stars": 5},
    }
    compiled = compile_conditions(program)
    for on in ("purchase", "review"):
        conditions = compiled[on]
        verdicts, _ = conditions.evaluate({**known, **order_variables(order(20), conditions.reads)})
        assert all(isinstance(verdict, bool) for verdict in verdicts), verdicts


@pytest.mark.parametrize(("shop", "place", "topics"), [("shopify", 1, SHOPIFY), ("woocommerce", 2, WOOCOMMERCE)])
def test_a_shops_page_lists_the_topics_that_the_plugin_reads(
    tables: Tables, shop: str, place: int, topics: Mapping[str, Any]
) -> None:
    webhooks = tables(f"docs/reference/{shop}.md")[place]
    listed = {topic for row in webhooks for topic in re.findall(r"[a-z_]+[./][a-z_]+", row["Topic"])}
    assert listed == {topic for topic in topics if not topic.startswith("fetched/")}


def test_hubspots_page_lists_the_topics_that_the_plugin_reads(tables: Tables) -> None:
    (webhooks,) = (table for table in tables("docs/reference/hubspot.md") if "Topic" in table[0])
    assert {topic for row in webhooks for topic in re.findall(r"\w+\.\w+", row["Topic"])} == set(NOTICES)


def test_hubspots_page_lists_the_scopes_that_an_installation_asks_for(tables: Tables) -> None:
    (scopes,) = (table for table in tables("docs/reference/hubspot.md") if "Scope" in table[0])
    assert {scope for row in scopes for scope in re.findall(r"[a-z_.]+", row["Scope"])} == {*SCOPES, "timeline"}


def test_hubspots_steps_name_the_scopes_and_the_properties_to_subscribe_to(root: Path) -> None:
    page = (root / "docs/how-to/connect-hubspot.md").read_text(encoding="utf-8")
    scopes, properties = (
        set(re.findall(r"[\w.]+", block))
        for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL)
        if "https:" not in block
    )
    given = {"portal_id": 1, "access_token": "made-up", "webhook_secrets": ["made-up"]}
    assert scopes == set(SCOPES) - {"oauth"}
    assert properties == set(ContactMap(HubSpotSettings.model_validate(given)).heard)


def test_the_pages_about_crms_name_every_owner_and_every_kind_of_field(root: Path, tables: Tables) -> None:
    (owners,) = (table for table in tables("docs/how-to/sync-a-crm.md") if "owner" in table[0])
    assert {row["owner"] for row in owners} == set(get_args(FieldOwner))
    for page, sentence in (
        ("sync-a-crm", r"has a kind: ([^.]*)\."),
        ("write-a-plugin", r"by the kind of each field: (.*?)\n-"),
    ):
        (told,) = re.findall(sentence, (root / f"docs/how-to/{page}.md").read_text(encoding="utf-8"), re.DOTALL)
        assert set(re.findall(r"`([a-z]+)`", told)) - {"true"} == set(get_args(FieldKind)), page


def test_the_guide_names_all_that_an_author_of_a_crm_fills_in(root: Path) -> None:
    (section,) = re.findall(
        r"## 9\. Keep contacts(.*?)\n## ",
        (root / "docs/how-to/write-a-plugin.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    for name in ("people", "gone_reference", "unfit_reference", "remembers", "contact"):
        assert hasattr(Case, name), name
        assert f"**`{name}" in section, name
    assert "dry_run=False" in section
    assert "dry_run" in inspect.signature(Contacts.prepare).parameters


def test_the_changes_name_the_plugin_api_that_there_is(root: Path) -> None:
    told = re.findall(r"Plugin API (\d+\.\d+)", (root / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert told == [".".join(map(str, API_VERSION))]


def test_the_page_of_metrics_names_the_kinds_and_outcomes_that_there_are(tables: Tables) -> None:
    labels = {row["Label"]: row["Values"] for row in tables("docs/reference/metrics.md")[1]}
    kinds = set(words(labels["kind` of `stampcard_entries_posted_total"]))
    assert kinds == {*get_args(EntryKind), "join"}
    outcomes = set(words(labels["outcome` of `stampcard_outbox_attempts_total"]))
    assert outcomes == {kind.__name__.lower() for kind in get_args(Outcome)}


def test_the_page_of_the_ledger_lists_every_account(tables: Tables) -> None:
    assert {row["Account"] for row in tables("docs/explanation/ledger.md")[0]} == set(ACCOUNTS)


def words(cell: str) -> Iterator[str]:
    return (found for found in re.findall(r"[a-z_]+", cell) if found != "also")

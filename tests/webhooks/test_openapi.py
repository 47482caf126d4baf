"""The description of the API says what the API is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stampcard.domain.scopes import SCOPES
from stampcard_webhooks.api import ROUTES
from stampcard_webhooks.openapi import document
from stampcard_webhooks.routing import PREFIX

SHIPPED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(scope="module")
def described() -> Any:
    return json.loads(json.dumps(document(ROUTES)))


def operations(described: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in described["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield path, method, operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, inner in node.items():
            if key == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def resolve(described: Any, reference: str) -> Any:
    node = described
    assert reference.startswith("#/")
    for part in reference[2:].split("/"):
        node = node[part.replace("~1", "/").replace("~0", "~")]
    return node


def test_the_shipped_description_is_the_one_that_the_routes_give(described: Any) -> None:
    again = "write it anew: python -m stampcard_webhooks.openapi > docs/reference/openapi.json"
    assert json.loads(SHIPPED.read_text(encoding="utf8")) == described, again


def test_every_reference_leads_somewhere_and_every_schema_is_used(described: Any) -> None:
    found = set(references(described))
    for reference in found:
        assert resolve(described, reference)
    used = {reference.rpartition("/")[2] for reference in found if "/schemas/" in reference}
    assert used == described["components"]["schemas"].keys()


def test_the_document_has_the_parts_that_the_standard_asks_for(described: Any) -> None:
    assert described["openapi"].startswith("3.1.")
    assert {"title", "version"} <= described["info"].keys()
    names = [operation["operationId"] for _, _, operation in operations(described)]
    assert len(names) == len(set(names))
    for path, _, operation in operations(described):
        assert path.startswith("/")
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert re.fullmatch("[1-5][0-9][0-9]", status)
            assert "$ref" in response or response["description"]


def test_every_path_parameter_is_declared_and_no_other(described: Any) -> None:
    for path, _, operation in operations(described):
        parameters = [resolve(described, p["$ref"]) if "$ref" in p else p for p in operation.get("parameters", [])]
        in_path = [p["name"] for p in parameters if p["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", path)
        assert all(p["required"] for p in parameters if p["in"] == "path")
        assert len({(p["in"], p["name"]) for p in parameters}) == len(parameters)
        assert all(p["schema"] for p in parameters)


def test_every_operation_names_a_scope_that_exists(described: Any) -> None:
    for path, _, operation in operations(described):
        scopes = [scope for need in operation["security"] for scope in need["key"]]
        assert scopes == [] if path.endswith("openapi.json") else set(scopes) <= SCOPES.keys()
    assert all(scope in described["components"]["securitySchemes"]["key"]["description"] for scope in SCOPES)


async def test_the_server_has_the_routes_that_are_described_and_no_other(api: Any) -> None:
    described = (await api.call("GET", "/openapi.json", key="")).body
    from stampcard_webhooks.server import build

    routed = {
        (route.resource.canonical, route.method.lower())
        for route in build(api.application).router.routes()
        if route.resource is not None and route.resource.canonical.startswith(PREFIX)
    }
    assert routed == {(path, method) for path, method, _ in operations(described)}


async def test_answers_have_the_fields_that_are_described(api: Any) -> None:
    """Every field of an answer is in its schema, and every field of the schema in the answer."""
    described = (await api.call("GET", "/openapi.json")).body
    await api.call("POST", "/members", {"identity": {"connection": "shop", "reference": "1"}})
    await api.take_in("a")
    for path in ("members", "deliveries", "connections", "programs", "pushes", "quarantine"):
        answer = (await api.call("GET", f"/{path}")).body
        response = described["paths"][f"{PREFIX}/{path}"]["get"]["responses"]["200"]
        schema = resolve(described, response["content"]["application/json"]["schema"]["$ref"])
        assert answer.keys() == schema["properties"].keys()
        item = resolve(described, schema["properties"]["items"]["items"]["$ref"])
        for shown in answer["items"]:
            assert shown.keys() == item["properties"].keys() == set(item["required"]), path

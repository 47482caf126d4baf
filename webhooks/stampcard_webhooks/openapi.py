"""The description of the API, made from the route table; `docs/reference/openapi.json` holds the same.

Written anew by ``python -m stampcard_webhooks.openapi > docs/reference/openapi.json``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from stampcard.domain.scopes import SCOPES
from stampcard.program.schema import untitled
from stampcard_webhooks.asking import MAX_BODY, Nothing
from stampcard_webhooks.problems import ProblemView
from stampcard_webhooks.routing import CSV, PREFIX, Route

#: Of the API; rises with it, not with every release.
VERSION = "1.0.0"
#: Where the description itself is found; it is open to everybody.
PATH = f"{PREFIX}/openapi.json"

_REF = "#/components/schemas/{model}"
_PATTERN = re.compile(r"\{(\w+)(?::[^{}]+)?\}")
_ABOUT = """\
Figures are integers in the wallet's smallest unit, beside their `scale`; money is decimal text; times are ISO 8601 in
UTC; ids are text. Lists come in pages: give the `next` of one page as the `cursor` of the following.

Send `Idempotency-Key` with a write, and repeating it gives the stored answer instead of a second effect; the same key
with another body is a conflict (409). Errors are problem documents of RFC 9457."""
_PROBLEMS: Mapping[int, str] = {
    400: "The request cannot be read: malformed JSON, or an unknown parameter.",
    401: "No live key was sent.",
    403: "The key lacks the scope, which `scope` names.",
    404: "What the request names does not exist for the key's merchant.",
    409: "The request contradicts what is there.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not application/json.",
    422: "The request is understood but wrong; `errors` says where.",
    503: "Nothing was done; come again after Retry-After seconds.",
}
_OF_READS, _OF_WRITES = (400, 401, 403, 404, 422, 503), tuple(_PROBLEMS)
_IDEMPOTENCY = {"$ref": "#/components/parameters/IdempotencyKey"}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these routes."""
    refs, schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(PREFIX + _PATTERN.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route, refs)
    paths[PATH] = {"get": _self_description()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stampcard", "version": VERSION, "description": _ABOUT, "license": _LICENSE},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": _scopes()}},
            "parameters": {"IdempotencyKey": _KEY_PARAMETER},
            "responses": {str(status): _problem(text) for status, text in _PROBLEMS.items()},
            "schemas": schemas,
        },
    }


_LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes the request count once, however often it is sent to this path with this API key.",
    "schema": {"type": "string", "pattern": "^[\\x21-\\x7e]{1,200}$"},
}


def _scopes() -> str:
    lines = [f"- `{scope}`: {text}" for scope, text in SCOPES.items()]
    return "\n".join(["A key made by `stampcard key create`, with the scopes:", "", *lines])


def _schemas(routes: Iterable[Route]) -> tuple[dict[Any, Any], dict[str, Any]]:
    taken: dict[type[BaseModel], None] = dict.fromkeys(r.takes for r in routes if r.takes is not Nothing)
    shown: dict[type[BaseModel], None] = dict.fromkeys(r.gives for r in routes if r.gives is not None)
    wanted: list[Any] = [(model, "validation") for model in taken]
    wanted += [(model, "serialization") for model in (*shown, ProblemView)]
    refs, schemas = models_json_schema(wanted, ref_template=_REF)
    return refs, untitled(schemas["$defs"])


def _operation(route: Route, refs: Mapping[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__,
        "summary": route.summary,
        "description": f"Needs the scope `{route.scope}`.",
        "tags": [route.path.split("/")[1]],
        "security": [{"key": [route.scope]}],
        "parameters": _parameters(route),
        "responses": {str(route.status): _success(route, refs), **_failures(route)},
    }
    if route.takes is not Nothing:
        content = {"application/json": {"schema": refs[route.takes, "validation"]}}
        operation["requestBody"] = {"required": _needs_body(route.takes), "content": content}
    return operation


def _needs_body(model: type[BaseModel]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATTERN.findall(route.path)
    ]
    schema = untitled(route.query.model_json_schema())
    for name, of in schema.get("properties", {}).items():
        about = {"description": of.pop("description")} if "description" in of else {}
        required = name in schema.get("required", ())
        found.append({"name": name, "in": "query", "required": required, **about, "schema": _without_null(of)})
    return [*found, _IDEMPOTENCY] if route.writes else found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter is given or not; it is never null."""
    if "anyOf" not in schema:
        return schema
    (kept,) = (option for option in schema["anyOf"] if option != {"type": "null"})
    return dict(kept)


def _success(route: Route, refs: Mapping[Any, Any]) -> dict[str, Any]:
    if route.gives is None:
        return {"description": "Done."}
    content: dict[str, Any] = {"application/json": {"schema": refs[route.gives, "serialization"]}}
    if route.as_csv:
        content[CSV] = {"schema": {"type": "string"}}
    return {"description": (route.gives.__doc__ or "").strip(), "content": content}


def _failures(route: Route) -> dict[str, Any]:
    statuses = _OF_WRITES if route.writes else _OF_READS
    found = {str(status): {"$ref": f"#/components/responses/{status}"} for status in statuses}
    if route.writes and route.largest != MAX_BODY:
        found["413"] = _problem(f"The body is larger than {route.largest // 1024} KiB.")
    return found


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": _REF.format(model=ProblemView.__name__)}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


def _self_description() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "operationId": "describe",
        "summary": "Show this description",
        "tags": ["openapi.json"],
        "security": [],
        "responses": {"200": {"description": "OpenAPI 3.1.", "content": content}},
    }


if __name__ == "__main__":
    from stampcard_webhooks.api import ROUTES

    json.dump(document(ROUTES), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")

"""The JSON Schema of the program file as it is written, for editors."""

from __future__ import annotations

from typing import Any

from stampcard.program.model import Program

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def program_schema() -> dict[str, Any]:
    """The schema of a program file; `config/programs/program.schema.json` holds the same."""
    schema: dict[str, Any] = untitled(Program.model_json_schema())
    return {"$schema": DIALECT, "title": "Stampcard program"} | schema


def untitled(schema: Any) -> Any:
    """The schema without the titles that only repeat a field's name."""
    if isinstance(schema, list):
        return [untitled(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: untitled(inner) for key, inner in schema.items() if key != "title" or not isinstance(inner, str)}

# ruff: noqa: INP001, T201 - a script that people run
"""Writes config/schemas/ anew: the JSON Schemas of what others send here."""

from __future__ import annotations

import json
from pathlib import Path

from stampcard_standard_webhooks.schema import message_schema

FILE = Path(__file__).resolve().parents[1] / "config" / "schemas" / "standard_webhooks.schema.json"


def written() -> str:
    return json.dumps(message_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(written(), encoding="utf-8")
    print(FILE)

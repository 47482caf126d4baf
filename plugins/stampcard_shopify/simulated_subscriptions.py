"""The webhook subscriptions of the simulated shop's app."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stampcard_shopify.simulated_asking import Asked

PAGE = 100


class SubscribedTopics:
    """What was subscribed by the Admin API; nobody is told of anything because of it."""

    def __init__(self, api_version: str) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.refused: frozenset[str] = frozenset()
        self._version = api_version
        self._numbers = itertools.count(1)

    def put(self, topic: str, uri: str, **more: Any) -> str:
        """A subscription that somebody made; answers its id."""
        id_ = f"gid://shopify/WebhookSubscription/{next(self._numbers)}"
        plain: dict[str, Any] = {
            "format": "JSON",
            "filter": None,
            "includeFields": [],
            "apiVersion": {"handle": self._version},
        }
        self.nodes[id_] = {"id": id_, "topic": topic, "uri": uri, **plain, **more}
        return id_

    def list(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        after = asked.argument("after")
        ids = list(self.nodes)
        start = ids.index(after) + 1 if after in ids else 0
        shown = ids[start : start + PAGE]
        more = start + PAGE < len(ids)
        info = {"hasNextPage": more, "endCursor": shown[-1] if shown else None}
        return {"nodes": [self.nodes[id_] for id_ in shown], "pageInfo": info}

    def create(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        topic, wanted = asked.argument("topic"), asked.argument("webhookSubscription") or {}
        if topic in self.refused:
            return _refused("topic", "You do not have permission to create or update webhooks with this topic")
        uri = str(wanted.get("uri", ""))
        if not uri.startswith("https://"):
            return _refused("webhookSubscription", "Address protocol http:// is not supported")
        if any((node["topic"], node["uri"]) == (topic, uri) for node in self.nodes.values()):
            return _refused("webhookSubscription", "Address for this topic has already been taken")
        self.put(topic, uri, **_settings(wanted))
        return {"userErrors": []}

    def update(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        node, wanted = self.nodes.get(asked.argument("id")), asked.argument("webhookSubscription") or {}
        if node is None:
            return _refused("id", "Webhook subscription does not exist")
        node.update(_settings(wanted))
        return {"userErrors": []}

    def delete(self, asked: Asked, _now: datetime) -> dict[str, Any]:
        if self.nodes.pop(asked.argument("id"), None) is None:
            return _refused("id", "Webhook subscription does not exist")
        return {"userErrors": []}


def _settings(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: wanted[name] for name in ("format", "filter", "includeFields") if name in wanted}


def _refused(field: str, message: str) -> dict[str, Any]:
    return {"userErrors": [{"field": [field], "message": message}]}

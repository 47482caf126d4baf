"""What the installation counts about itself, in the words of Prometheus; never a person's id."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from stampcard import __version__


class Metrics:
    """Every metric, on a registry of its own, so that several applications can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"stampcard_{name}", text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"stampcard_{name}", text, labels, registry=self.registry)

        self.received = counter("webhooks_received", "Webhook requests by what became of them", "connection", "outcome")
        self.duplicates = counter("webhooks_duplicate", "Deliveries that were known already")
        self.applied = counter("deliveries_applied", "Deliveries by what became of them", "outcome")
        self.points = counter("entries_posted", "Ledger changes by kind", "kind")
        self.redemptions = counter("redemptions", "Rewards by what became of them", "status")
        self.attempts = counter("outbox_attempts", "Items sent to vendors by outcome", "connection", "kind", "outcome")
        self.calls = counter("outbox_calls", "Calls made to vendors", "connection", "kind")
        self.hook_failures = gauge("hook_failures", "Hooks that failed since the start", "plugin", "hook")
        self.inbox_ready = gauge("inbox_ready", "Deliveries that wait to be applied")
        self.quarantined = gauge("quarantined", "Deliveries that a person must look at")
        self.pending = gauge("outbox_pending", "Pushes and commands that are due", "connection")
        self.oldest = gauge("outbox_oldest_age_seconds", "Age of the push that waits longest", "connection")
        self.dead = gauge("dead_letters", "Pushes and commands that were given up", "connection")
        self.plugin_up = gauge("plugin_up", "Whether a plugin is ready", "plugin")
        self.processing = Histogram(
            "stampcard_event_processing_seconds",
            "From receiving a delivery to having applied it",
            buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 300, 3600),
            registry=self.registry,
        )
        self._received: dict[tuple[str, str], Counter] = {}
        build = gauge("build_info", "The version that runs", "version")
        build.labels(version=__version__).set(1)

    def count_received(self, connection: str, outcome: str) -> None:
        """Count a webhook request; its counter is remembered, because looking it up costs more than counting."""
        counter = self._received.get((connection, outcome))
        if counter is None:
            counter = self._received[connection, outcome] = self.received.labels(connection=connection, outcome=outcome)
        counter.inc()

"""The one unit of work: lock, load, settle, decide, save. Deliveries, timers, REST, CLI and import go through it."""

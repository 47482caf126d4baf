"""Stampcard: a self-hosted, plugin-based loyalty engine."""

__version__ = "0.1.0"

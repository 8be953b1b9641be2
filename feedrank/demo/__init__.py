"""The demo: an embedded PostgreSQL filled with a simulated network whose truth is known."""

from __future__ import annotations

from feedrank.demo.database import TRUTH, embedded_server, ensure_demo

__all__ = ["TRUTH", "embedded_server", "ensure_demo"]

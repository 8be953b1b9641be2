"""The demo: an embedded PostgreSQL filled with a simulated network whose truth is known."""

from __future__ import annotations

from feedrank.demo.fill import TRUTH, ensure_demo
from feedrank.demo.server import embedded_server

__all__ = ["TRUTH", "embedded_server", "ensure_demo"]

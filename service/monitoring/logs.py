"""Log: one line of JSON for each record, on standard output."""

from __future__ import annotations

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from logging.config import dictConfig
from types import TracebackType
from typing import Any

from feedrank.errors import printable

PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """Formats a record as JSON: time, level, logger, event and the fields of its `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; line breaks of the message are escaped."""
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **{key: value for key, value in vars(record).items() if key not in PLAIN},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return printable(json.dumps(line, default=str, ensure_ascii=False))


def log_config(level: str) -> dict[str, Any]:
    """Configuration of `logging`, for this process and for uvicorn: every logger writes JSON.

    Args:
        level: of the service and of uvicorn; DEBUG, INFO, WARNING or ERROR.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": f"{__name__}.{JsonLines.__name__}"}},
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json",
            }
        },
        "root": {"handlers": ["stdout"], "level": "WARNING"},
        "loggers": {
            "feedrank": {"level": level},
            "uvicorn": {"handlers": [], "level": level, "propagate": True},
            "uvicorn.error": {"level": level},
            "uvicorn.access": {"handlers": [], "propagate": False},  # the service has its own
        },
    }


def log_json(level: str) -> None:
    """Write logs, warnings and uncaught exceptions as lines of JSON to standard output."""
    dictConfig(log_config(level))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda e: _uncaught(e.exc_type, e.exc_value, e.exc_traceback)


def _uncaught(
    kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
) -> None:
    if error is not None and not issubclass(kind, KeyboardInterrupt):
        logging.getLogger("feedrank.service").critical(
            "uncaught exception", exc_info=(kind, error, traceback)
        )

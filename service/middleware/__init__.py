"""Middleware: security and access log, around every request."""

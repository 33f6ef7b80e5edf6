"""Believable traffic for a running product, played through its own HTTP endpoints."""

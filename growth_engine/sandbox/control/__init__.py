"""The control plane under ``/_sandbox``: clock, faults, people, log, and the page with the phone."""

from growth_engine.sandbox.control.api import mount

__all__ = ["mount"]

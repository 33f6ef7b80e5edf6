"""One product for each file of tests."""

from tests.factories.standing import app, built, clock, parts, standing_clock

__all__ = ["app", "built", "clock", "parts", "standing_clock"]

"""A stand-in for the servers of WeChat, WeCom and WeChat Pay that refuses what they refuse."""

from __future__ import annotations

from growth_engine.sandbox.handle import PORTS, Sandbox, start

__all__ = ["PORTS", "Sandbox", "start"]

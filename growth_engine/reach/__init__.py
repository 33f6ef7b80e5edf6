"""Talking to people over channels: who comes and leaves there, and what reaches them."""

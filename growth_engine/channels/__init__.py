"""Talking to the outside: picture storage, messages, vendors."""

"""Workspaces, staff with roles, sessions, one-time links and API tokens: who may come in, and as what."""

"""Screens of the sales console: one file and one template each, found by file name."""

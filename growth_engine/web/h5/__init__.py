"""Screens of the phone pages: one file and one template each, found by file name."""

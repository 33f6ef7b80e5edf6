"""Screens of the marketer console: one file and one template each, found by file name."""

"""Posters: templates with layers, fast rendering, scanning back, and their delivery as rows."""

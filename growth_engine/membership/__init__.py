"""Membership: days promised, delivered, used up against the calendar, paused and taken back."""

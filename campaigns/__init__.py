"""What each play decides: one pure file per play, found by name."""

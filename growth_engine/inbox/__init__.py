"""What the platforms tell us: checked, stored once, understood, answered in time."""

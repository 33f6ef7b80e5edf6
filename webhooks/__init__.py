"""How each vendor speaks: one file per provider, found by name; the first arrive with the channels."""

"""People: contacts, how we know them again, what they agreed to, and how they are forgotten."""

"""How each vendor speaks: one file per provider, found by name; the first ones arrive with the WeChat channels."""

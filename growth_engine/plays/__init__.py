"""Campaigns at work: the play contract, the rules all plays share, posting, lifecycle, templates."""

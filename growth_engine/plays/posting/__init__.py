"""Campaign Events on their way through the poster: load facts, decide purely, save in arrays."""

from growth_engine.plays.posting.batch import CampaignRules

__all__ = ["CampaignRules"]

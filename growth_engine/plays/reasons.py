"""Reason codes in plain words, for the person concerned and for the marketer (message ids)."""

from __future__ import annotations

from collections.abc import Mapping

from growth_engine.kit.i18n import N_

REASONS: Mapping[str, str] = {
    "already_joined": N_("Already taking part; the first registration stands."),
    "came_back": N_("Came back after leaving."),
    "self_invite": N_("One cannot invite oneself."),
    "loop": N_("The inviter was brought by this person, so it cannot count the other way round."),
    "not_new": N_("Was known to us before, so the invite does not count."),
    "not_new_here": N_("Was in this campaign before, so the invite does not count."),
    "already_helped": N_("Has already helped in this campaign."),
    "unknown_invite": N_("The invite link is not one of this campaign."),
    "inviter_blocked": N_("The inviter is blocked."),
    "inviter_left": N_("The inviter has left the campaign."),
    "same_device": N_("Another account on the same phone takes part already."),
    "address_burst": N_("Too many registrations from one network address."),
    "too_fast": N_("Too many invites in a short time."),
    "virtual_number": N_("Virtual phone numbers do not count."),
    "inviter_cap": N_("The inviter has reached the limit of %(cap)s rewarded invites."),
    "sold_out": N_("The reward was out of stock."),
    "not_started": N_("The campaign has not started yet."),
    "ended": N_("The campaign has ended."),
    "paused": N_("The campaign is paused."),
    "full": N_("All %(most)s places are taken."),
    "blocked": N_("This account cannot take part."),
    "left": N_("Left the campaign."),
    "not_taking_part": N_("Was not taking part."),
    "identity_conflict": N_("The identities given belong to different people."),
    "unknown_contact": N_("There is no such person."),
    "merged": N_("Turned out to be a second account of the same person."),
    "by_hand": N_("Blocked by hand."),
    "unblocked": N_("Unblocked."),
    "already_counted": N_("Was counted before."),
}

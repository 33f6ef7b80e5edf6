"""Reason codes in plain words, for the person concerned and for the marketer (message ids)."""

from __future__ import annotations

from collections.abc import Mapping

from growth_engine.kit.i18n import N_
from growth_engine.payouts import reasons as wallets
from growth_engine.payouts import texts

REASONS: Mapping[str, str] = {
    **wallets.REASONS,
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
    "rewards_cap": N_("The inviter has all the %(cap)s rewards one person may have."),
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
    # -- orders and their money ------------------------------------------------------------------------
    "unknown_product": N_("This campaign does not sell “%(sku)s”."),
    "hidden_product": N_("“%(name)s” is not on sale at the moment."),
    "out_of_stock": N_("Of “%(name)s” only %(left)s are left."),
    "sold_out_paid": N_(
        "The order was cancelled, paid all the same, and something of it is sold out by now."
    ),
    "too_many_unpaid": N_(
        "Orders of yours that may wait for payment at a time: %(most)s. Pay or cancel one."
    ),
    "too_many_reserved": N_("Pieces that may be reserved for you unpaid at a time: %(most)s. Pay first."),
    "restocked": N_("The goods are back in stock: %(pieces)s."),
    "not_restocked": N_("The goods are not back in stock: something that was paid has not gone back."),
    "order_unknown": N_("This campaign has no such order."),
    "order_cancelled": N_("The order was cancelled before."),
    "order_paid": N_("Something was paid for the order already, so it cannot be cancelled. Refund it."),
    "order_expired": N_("The order was not paid in time."),
    "cancelled": N_("The order was cancelled."),
    "overpaid": N_("More than is due: %(due)s are still to be paid."),
    "refund_too_large": N_("More than can go back: %(left)s are left to refund."),
    "currency_mismatch": N_("The amount is in %(given)s, but %(wanted)s are asked for."),
    # -- who earns, and how much -----------------------------------------------------------------------
    "no_promoter": N_("Nobody brought the buyer, so nobody earns commission."),
    "not_a_promoter": N_("Does not meet what promoters need yet, so this order earns no commission."),
    "promoter_blocked": N_("May not promote any more, so this order earns no commission."),
    "promoter_left": N_("Has left the campaign, so this order earns no commission."),
    "self_purchase": N_("One's own purchases earn no commission here."),
    "rate_zero": N_("These products earn no commission on this level."),
    "bound": N_("The buyer belongs to this promoter now."),
    "binding_protected": N_("The buyer belongs to another promoter until %(until)s."),
    "binding_expired": N_("The buyer belonged to the promoter until %(until)s; the order came later."),
    "commission_cap": N_("A limit was reached: %(amount)s instead of %(due)s commission."),
    "earned": N_("Commission of level %(level)s: %(amount)s."),
    "taken_back": N_("%(amount)s of commission was taken back."),
    "matured": N_("Gone over to the wallet: %(amount)s. Commissions: %(count)s."),
    "absorbed": N_("%(amount)s of it was withdrawn before the refund; the merchant bears it."),
    "nothing_due": N_("No commission has been on hold long enough."),
    "nothing_to_do": N_("None of these commissions is in a state for that."),
    "void_by_hand": N_("Taken away by hand: %(reason)s"),
    "hold_by_hand": N_("Put on hold by hand: %(reason)s"),
    "release_by_hand": N_("No longer held by hand: %(reason)s"),
    "mature_by_hand": N_("Paid into the wallet before its time: %(reason)s"),
    # -- promoters -------------------------------------------------------------------------------------
    "promoter_apply": N_("Applied to promote."),
    "promoter_approve": N_("May promote now."),
    "promoter_reject": N_("The application to promote was turned down."),
    "promoter_tier": N_("Moved to another group of promoters."),
    "promoter_block": N_("May not promote any more."),
    "promoter_unblock": N_("May promote again."),
    "no_application_needed": N_("Nobody has to apply here: whoever meets the rules may promote."),
    "promoter_is_applied": N_("Has applied already; the answer is on its way."),
    "promoter_is_approved": N_("May promote already."),
    "promoter_is_rejected": N_("The application to promote was turned down before."),
    "promoter_is_blocked": N_("May not promote any more. Unblock first."),
    "promoter_not_blocked": N_("Is not blocked."),
}

#: Parameters that are amounts in minor units wherever ``currency`` stands beside them.
AMOUNTS = texts.AMOUNTS | {"due"}

"""Wallets and the money that leaves them."""

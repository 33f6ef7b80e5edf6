"""Commissions, promoters, and whom a buyer belongs to."""

"""Orders, payments, refunds, commissions and promoters on their way through the poster."""

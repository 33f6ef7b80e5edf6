"""Products, orders, payments and refunds."""

"""WeChat Pay as a way to pay orders, give money back and pay withdrawals, held against its daily bills."""

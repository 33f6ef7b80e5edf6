"""A stand-in for the servers of WeChat, WeCom and WeChat Pay that refuses what they refuse."""

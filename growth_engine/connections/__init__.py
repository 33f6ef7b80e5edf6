"""The merchant's accounts at the platforms: what they are called, their keys, how far they are connected."""

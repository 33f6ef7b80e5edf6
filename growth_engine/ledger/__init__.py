"""The books: events accepted once, posted in order, mirrored for reading."""

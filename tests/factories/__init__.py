"""Small makers of the rows tests start from; each returns ids or plain values."""

"""Live codes (活码): one short link and QR code of our own that leads into many groups, or to many staff."""

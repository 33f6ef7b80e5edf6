"""Pages: one file and one template per screen; ``h5`` for phones, ``marketer`` and ``sales`` consoles."""

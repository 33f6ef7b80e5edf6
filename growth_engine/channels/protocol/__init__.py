"""How the platforms sign, seal and number things: bytes in, values out, no I/O."""

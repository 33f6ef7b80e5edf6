"""``python -m growth_engine.cli``: the same as ``growth-engine``."""

from growth_engine.cli import main

main()

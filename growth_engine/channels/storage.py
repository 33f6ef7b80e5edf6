"""Where pictures are kept: by content hash, in the data folder or in an S3-compatible service."""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.exceptions import NotFoundError as Missing
from obstore.store import LocalStore, S3Store

from growth_engine.kit.errors import Invalid, Misconfigured, NotFound, Unavailable
from growth_engine.kit.i18n import N_

if TYPE_CHECKING:
    from collections.abc import Iterator

    from growth_engine.settings import Settings

CONTENT_TYPES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}
_TYPE_OF_EXTENSION = {extension: content_type for content_type, extension in CONTENT_TYPES.items()}

# Two levels of 256 folders keep every folder small up to tens of millions of pictures.
_KEY = re.compile(
    r"(?P<a>[0-9a-f]{2})/(?P<b>[0-9a-f]{2})/(?P=a)(?P=b)[0-9a-f]{60}\.(?P<extension>jpg|png|webp)"
)

# Documents have a name instead of a hash: heads/<workspace>/2026-06-01.json.
_DOCUMENT = re.compile(r"[a-z]+(/[a-z0-9_-]+)+\.json")

_RETRY: Any = {"max_retries": 3}


class StorageUnavailable(Unavailable):
    """The place pictures are kept in cannot be written or reached; whoever asked may try again."""

    code = "storage_unavailable"
    message = N_("Pictures cannot be kept at %(place)s: %(reason)s")


class PictureNotFound(NotFound):
    code = "picture_not_found"
    message = N_("This picture does not exist.")


def content_type_of(key: str) -> str:
    """The media type a key's extension stands for."""
    return _TYPE_OF_EXTENSION[_checked(key)["extension"]]


def key_of(data: bytes, content_type: str) -> str:
    """``ab/cd/abcd….jpg``: SHA-256 of the bytes, fanned out over two levels of folders."""
    try:
        extension = CONTENT_TYPES[content_type]
    except KeyError:
        raise Invalid(
            N_("Pictures of type %(content_type)s are not accepted."), params={"content_type": content_type}
        ) from None
    name = hashlib.sha256(data).hexdigest()
    return f"{name[:2]}/{name[2:4]}/{name}.{extension}"


class Storage:
    """Pictures by content hash. The same bytes have the same key, so storing twice is harmless.

    Documents (JSON) lie beside them under names of their own.
    """

    def __init__(self, store: LocalStore | S3Store, place: str) -> None:
        self._store = store
        self.place = place
        """Where it is, for people: a folder or an s3:// address; no credentials in it."""

    def put(self, data: bytes, content_type: str) -> str:
        """Keep ``data``; its key. Atomic: a reader sees the whole picture or none.

        Writes even when the key is there already, which heals a file cut short by a crash of the machine.
        """
        key = key_of(data, content_type)
        attributes: dict[str, Any] = {}
        if isinstance(self._store, S3Store):
            attributes = {"attributes": {"Content-Type": content_type}}  # a folder cannot keep them
        try:
            with self._explained():
                # object_store writes a temporary neighbour and renames it; on S3 one PUT request.
                self._store.put(key, data, use_multipart=False, **attributes)
        except PictureNotFound:
            raise self._unavailable(N_("the bucket or folder does not exist. Make it first.")) from None
        return key

    def get(self, key: str) -> bytes:
        """The picture; raises PictureNotFound."""
        _checked(key)
        with self._explained():
            return bytes(self._store.get(key).bytes())

    def exists(self, key: str) -> bool:
        _checked(key)
        try:
            with self._explained():
                self._store.head(key)
        except PictureNotFound:
            return False
        return True

    def delete(self, key: str) -> None:
        """Forget a picture; no error when it is gone already."""
        _checked(key)
        try:
            with self._explained():
                self._store.delete(key)
        except PictureNotFound:
            return

    def put_document(self, name: str, data: bytes) -> None:
        """Keep a document under its name, whatever was there before."""
        with self._explained():
            self._store.put(_checked_name(name), data, use_multipart=False)

    def document(self, name: str) -> bytes:
        """Raises PictureNotFound where there is none."""
        with self._explained():
            return bytes(self._store.get(_checked_name(name)).bytes())

    def has_document(self, name: str) -> bool:
        try:
            with self._explained():
                self._store.head(_checked_name(name))
        except PictureNotFound:
            return False
        return True

    def documents(self, folder: str) -> list[str]:
        """Names of the documents below a folder."""
        try:
            with self._explained():
                return [one["path"] for page in self._store.list(folder) for one in page]
        except PictureNotFound:
            return []

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (Missing, FileNotFoundError):
            raise PictureNotFound from None
        except (PermissionDeniedError, UnauthenticatedError, PermissionError) as error:
            raise self._unavailable(N_("access was refused. Check the credentials or rights.")) from error
        except (BaseError, OSError) as error:
            raise self._unavailable(_reason(error)) from error

    def _unavailable(self, reason: str) -> StorageUnavailable:
        return StorageUnavailable(params={"place": self.place, "reason": reason})


def from_settings(settings: Settings) -> Storage:
    """The storage the settings ask for: a folder under the data folder, or ``s3://bucket/prefix``."""
    if not settings.storage_url:
        return _in_folder(Path(settings.data_dir) / "pictures")
    url = urlsplit(settings.storage_url)
    if url.scheme != "s3" or not url.netloc:
        raise Misconfigured("GROWTH_STORAGE_URL must be s3://bucket/prefix, or empty for the data folder.")
    return _in_bucket(settings, bucket=url.netloc, prefix=url.path.strip("/"))


def _in_folder(folder: Path) -> Storage:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"Pictures cannot be kept in {folder}: {error.strerror}.") from error
    return Storage(LocalStore(prefix=folder.resolve()), str(folder))


def _in_bucket(settings: Settings, *, bucket: str, prefix: str) -> Storage:
    config: dict[str, Any] = {"region": settings.storage_region}
    if settings.storage_endpoint:
        # Most compatible services answer path-style addresses only.
        config |= {"endpoint": settings.storage_endpoint, "virtual_hosted_style_request": False}
    if settings.storage_access_key:
        config |= {
            "access_key_id": settings.storage_access_key,
            "secret_access_key": settings.storage_secret_key,
        }
    store = S3Store(
        bucket,
        prefix=prefix or None,
        client_options={
            "allow_http": settings.storage_endpoint.startswith("http://"),
            "timeout": "20s",
            "connect_timeout": "5s",
        },
        retry_config=_RETRY,
        **config,
    )
    return Storage(store, settings.storage_url)


def _checked(key: str) -> re.Match[str]:
    match = _KEY.fullmatch(key)
    if match is None:
        raise PictureNotFound  # whatever is no key of ours names no picture; the disk is not asked
    return match


def _checked_name(name: str) -> str:
    if _DOCUMENT.fullmatch(name) is None:
        raise ValueError(f"{name} is no document's name")
    return name


def _reason(error: Exception) -> str:
    """What an operator can act on, out of object_store's long chain of messages."""
    text = str(error)
    number = re.search(r"\(os error (\d+)\)", text)
    if number:
        return f"{os.strerror(int(number[1]))}. Check the disk and the rights of the folder."
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"{first[:200]}. Check the address and the network."

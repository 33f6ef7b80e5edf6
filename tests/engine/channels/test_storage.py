"""Pictures are kept by content hash, in a folder and in a real S3-compatible server."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from growth_engine.channels import storage
from growth_engine.kit.errors import GrowthError, Invalid, Misconfigured
from growth_engine.settings import Settings

JPEG = b"\xff\xd8 not quite a picture \xff\xd9"


def settings_with(data_dir: Path, **more: str) -> Settings:
    return Settings(
        database_url="postgresql://localhost/x",
        ledger_redis_url="redis://localhost/0",
        queue_redis_url="redis://localhost/1",
        secret_key="k" * 32,
        data_dir=data_dir,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A moto server in its own process; offline."""
    script = textwrap.dedent(
        """
        from werkzeug.serving import make_server
        from moto.server import DomainDispatcherApplication, create_backend_app
        server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
        print(server.port, flush=True)
        server.serve_forever()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> storage.Storage:
    if request.param == "folder":
        return storage.from_settings(settings_with(tmp_path))
    import httpx

    endpoint = request.getfixturevalue("s3_endpoint")
    httpx.put(f"{endpoint}/pictures", headers={"Authorization": "AWS x:y"}).raise_for_status()
    return storage.from_settings(
        settings_with(
            tmp_path,
            storage_url="s3://pictures/some/prefix",
            storage_endpoint=endpoint,
            storage_access_key="key",
            storage_secret_key="secret",
        )
    )


def test_a_stored_picture_comes_back_under_its_content_hash(store: storage.Storage) -> None:
    key = store.put(JPEG, "image/jpeg")
    name = hashlib.sha256(JPEG).hexdigest()
    assert key == f"{name[:2]}/{name[2:4]}/{name}.jpg"
    assert store.get(key) == JPEG
    assert store.exists(key)
    assert storage.content_type_of(key) == "image/jpeg"


def test_storing_twice_gives_the_same_key_and_one_picture(store: storage.Storage) -> None:
    assert store.put(JPEG, "image/jpeg") == store.put(JPEG, "image/jpeg")
    assert store.get(store.put(JPEG, "image/jpeg")) == JPEG


def test_a_deleted_picture_is_gone_and_deleting_again_is_harmless(store: storage.Storage) -> None:
    key = store.put(b"x" * 100, "image/png")
    store.delete(key)
    store.delete(key)
    assert not store.exists(key)
    with pytest.raises(storage.PictureNotFound):
        store.get(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "../../etc/passwd",
        "ab/cd/../../../../etc/passwd",
        "/etc/passwd",
        "ab/cd/" + "0" * 64 + ".jpg",
        "ab/cd/abcd" + "0" * 60 + ".exe",
        "ab/cd/abcd" + "0" * 60 + ".jpg\n",
        "ab/cd/abcd" + "0" * 60 + ".jpg\x00",
        "AB/CD/ABCD" + "0" * 60 + ".jpg",
    ],
)
def test_a_key_that_is_not_ours_reaches_no_file(store: storage.Storage, key: str) -> None:
    for call in (store.get, store.exists, store.delete):
        with pytest.raises(storage.PictureNotFound):
            call(key)


def test_other_kinds_of_files_are_refused(store: storage.Storage) -> None:
    with pytest.raises(Invalid):
        store.put(b"<svg/>", "image/svg+xml")


def test_documents_have_names_and_are_listed_by_folder(store: storage.Storage) -> None:
    day = "heads/wsp_1/2026-06-01.json"
    assert store.documents("heads/wsp_1") == []
    assert not store.has_document(day)
    with pytest.raises(storage.PictureNotFound):
        store.document(day)
    store.put_document(day, b"{}")
    store.put_document("heads/wsp_1/2026-06-02.json", b"[]")
    store.put_document("heads/wsp_2/2026-06-02.json", b"[]")
    assert store.has_document(day)
    assert store.document(day) == b"{}"
    assert sorted(store.documents("heads/wsp_1")) == [day, "heads/wsp_1/2026-06-02.json"]
    store.put_document(day, b"[1]")
    assert store.document(day) == b"[1]"


@pytest.mark.parametrize(
    "name", ["", "x.json", "/etc/a.json", "a/../b.json", "a/b.txt", "A/b.json", "a//b.json"]
)
def test_a_document_of_another_name_is_refused(store: storage.Storage, name: str) -> None:
    for use in (store.document, store.has_document, lambda one: store.put_document(one, b"")):
        with pytest.raises(ValueError, match="no document"):
            use(name)


def test_the_folder_holds_only_whole_pictures(tmp_path: Path) -> None:
    store = storage.from_settings(settings_with(tmp_path))
    keys = {store.put(os.urandom(5000), "image/jpeg") for _ in range(20)}
    files = {str(p.relative_to(tmp_path / "pictures")) for p in tmp_path.rglob("*") if p.is_file()}
    assert files == keys


def test_a_picture_cut_short_by_a_crash_is_healed_by_storing_it_again(tmp_path: Path) -> None:
    store = storage.from_settings(settings_with(tmp_path))
    key = store.put(JPEG, "image/jpeg")
    (tmp_path / "pictures" / key).write_bytes(JPEG[:5])
    store.put(JPEG, "image/jpeg")
    assert store.get(key) == JPEG


def test_a_full_disk_is_one_clear_error(tmp_path: Path) -> None:
    """A file-size limit makes the kernel refuse the write in the middle, as a full disk does."""
    script = textwrap.dedent(
        f"""
        import resource, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_storage import settings_with
        from growth_engine.channels import storage
        store = storage.from_settings(settings_with(Path({str(tmp_path)!r})))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            store.put(b"x" * 100_000, "image/jpeg")
        except storage.StorageUnavailable as error:
            print(error)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "pictures" in done.stdout, done.stderr
    assert "File too large" in done.stdout
    assert not list(tmp_path.rglob("*.jpg"))


def test_a_folder_that_cannot_be_made_stops_the_boot_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Misconfigured, match="Not a directory"):
        storage.from_settings(settings_with(tmp_path / "file"))


def test_a_wrong_address_stops_the_boot(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="GROWTH_STORAGE_URL"):
        storage.from_settings(settings_with(tmp_path, storage_url="ftp://bucket"))


def test_a_missing_bucket_or_server_is_an_error_to_act_on(s3_endpoint: str, tmp_path: Path) -> None:
    more = {"storage_access_key": "k", "storage_secret_key": "s"}
    away = settings_with(tmp_path, storage_url="s3://nowhere", storage_endpoint="http://127.0.0.1:9", **more)
    with pytest.raises(GrowthError, match=r"s3://nowhere"):
        storage.from_settings(away).put(JPEG, "image/jpeg")
    missing = settings_with(tmp_path, storage_url="s3://no-bucket", storage_endpoint=s3_endpoint, **more)
    with pytest.raises(storage.StorageUnavailable, match="does not exist"):
        storage.from_settings(missing).put(JPEG, "image/jpeg")

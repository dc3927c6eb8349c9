"""TF-Hub's download protocol, against a server of the test's own."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cutpoint.base.errors import BackboneNotFound, WeightsError
from cutpoint.networks.sources.tfhub_cache import module_folder, unpack


class Server(http.server.ThreadingHTTPServer):
    """Serves one archive and keeps what it was asked."""

    archive = b""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    @property
    def handle(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/google/module/1"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200 if self.server.archive else 404)
        self.end_headers()
        self.wfile.write(self.server.archive)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache"


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for member, data in members:
            file.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def plain(name: str, data: bytes = b"graph") -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    return member, data


def link(name: str, target: str, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member, b""


def test_a_handle_is_fetched_once_into_tensorflow_hubs_folder(server: Server, cache: Path) -> None:
    server.archive = archive(plain("./saved_model.pb"), plain("./variables/variables.index"))
    folder = module_folder(server.handle)
    assert folder == cache / hashlib.sha1(server.handle.encode()).hexdigest()
    assert (folder / "saved_model.pb").read_bytes() == b"graph"
    assert (folder / "variables" / "variables.index").exists()
    assert server.asked == ["/google/module/1?tf-hub-format=compressed"]
    assert module_folder(server.handle) == folder
    assert len(server.asked) == 1


def test_a_module_that_tensorflow_hub_has_fetched_is_used(server: Server, cache: Path) -> None:
    folder = cache / hashlib.sha1(server.handle.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    assert module_folder(server.handle) == folder
    assert server.asked == []


def test_a_query_of_the_handle_is_kept(server: Server) -> None:
    server.archive = archive(plain("saved_model.pb"))
    module_folder(f"{server.handle}?lite=no")
    assert server.asked == ["/google/module/1?lite=no&tf-hub-format=compressed"]


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>sign in</html>", gzip.compress(b"no archive", mtime=0)],
    ids=["empty", "a web page", "no archive"],
)
def test_a_failed_download_leaves_nothing(server: Server, cache: Path, data: bytes) -> None:
    server.archive = data
    with pytest.raises(WeightsError, match="can't be downloaded"):
        module_folder(server.handle)
    assert list(cache.iterdir()) == []


def test_a_cut_off_archive_leaves_nothing(server: Server, cache: Path) -> None:
    noise = b"".join(hashlib.sha256(bytes([n % 256, n // 256])).digest() for n in range(2000))
    server.archive = archive(plain("saved_model.pb", noise))[:20_000]
    with pytest.raises(WeightsError, match="can't be downloaded"):
        module_folder(server.handle)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "member",
    [
        plain("../evil"),
        plain("/tmp/evil"),
        plain("a/../../evil"),
        link("evil", "/etc/passwd", tarfile.SYMTYPE),
        link("evil", "saved_model.pb", tarfile.LNKTYPE),
        link("evil", "", tarfile.FIFOTYPE),
    ],
)
def test_members_that_lead_out_or_are_links_are_refused(
    tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]
) -> None:
    path = tmp_path / "module.tar.gz"
    path.write_bytes(archive(plain("saved_model.pb"), member))
    with pytest.raises(WeightsError, match=r"leads out|neither a plain file"):
        unpack(path, tmp_path / "out")
    assert not list(tmp_path.rglob("evil"))


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "module.tar.gz"
    path.write_bytes(archive(plain("zeros", bytes(50_000_000))))
    assert path.stat().st_size < 100_000
    with pytest.raises(WeightsError, match="larger than"):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_path_that_is_not_there_is_told() -> None:
    with pytest.raises(BackboneNotFound, match="No file or folder"):
        module_folder("nowhere/at/all")

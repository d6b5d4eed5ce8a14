import contextlib
import errno
import hashlib
import http.server
import io
import os
import tarfile
import threading

import pytest
from PIL import Image

from pfungst.errors import ConfigError, DataError, FileError
from pfungst.images import download, open_dataset
from pfungst.images.archives import Archive, unpack
from pfungst.images.download import fetch, fetch_voc2007

CONTENT = bytes(range(256)) * 4000  # 1 MB
MD5 = hashlib.md5(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.files``; breaks off after ``server.break_after`` bytes for ``server.breaks`` times."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        server = self.server
        server.ranges.append(self.headers.get("Range"))
        status = server.statuses.pop(0) if server.statuses else 200
        content = server.files.get(self.path.lstrip("/"))
        if self.path.lstrip("/") in server.redirects:
            self._answer(302, b"", {"Location": server.redirects[self.path.lstrip("/")]})
            return
        if status != 200 or content is None:
            self._answer(404 if status == 200 else status, b"", {})
            return
        asked, start = self.headers.get("Range"), 0
        if asked and server.with_ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                self._answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            span = f"bytes {start + server.shift}-{len(content) - 1}/{len(content)}"
            self._answer(206, content[start:], {"Content-Range": span})
        else:
            self._answer(200, content, {})

    def _answer(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if self.server.with_length or status != 200:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if body and self.server.breaks:
            self.server.breaks -= 1
            body = body[: self.server.break_after]
        with contextlib.suppress(OSError):
            self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.files, httpd.statuses, httpd.ranges = {"file.tar": CONTENT}, [], []
        httpd.redirects = {}
        httpd.breaks, httpd.break_after, httpd.shift = 0, 300_000, 0
        httpd.with_ranges = httpd.with_length = True
        httpd.url = f"http://127.0.0.1:{httpd.server_address[1]}/"
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield httpd
        httpd.shutdown()
        thread.join()


@pytest.fixture
def get(server, tmp_path):
    def call(name="file.tar", *, md5=MD5, **options):
        return fetch(server.url + name, tmp_path / name, md5=md5, wait=0, timeout=10, **options)

    return call


def test_whole_download_with_progress(get, server):
    seen = []
    file = get(progress=lambda *stage: seen.append(stage))
    assert file.read_bytes() == CONTENT
    assert seen[-1] == ("download file.tar", 0, 0)
    assert not file.with_name("file.tar.part").exists()
    assert server.ranges == [None]
    get()
    assert len(server.ranges) == 1, "a verified file is not fetched again"


def test_broken_connections_are_continued(get, server):
    server.breaks = 3
    assert get().read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_a_later_call_continues(get, server, tmp_path):
    server.breaks = 2
    with pytest.raises(DataError) as caught:
        get(attempts=2)
    assert str(caught.value) == (
        f"{server.url}file.tar: download stopped after 600,000 bytes and 2 attempts "
        "(the connection broke off). Try: the same command again; it goes on where it stopped."
    )
    assert (tmp_path / "file.tar.part").stat().st_size == 600_000
    assert get().read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=600000-"


def test_server_without_ranges_starts_over(get, server):
    server.breaks, server.with_ranges = 1, False
    assert get().read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_server_without_length(get, server):
    server.with_length = False
    assert get().read_bytes() == CONTENT


def test_complete_part_is_only_verified(get, server, tmp_path):
    (tmp_path / "file.tar.part").write_bytes(CONTENT)
    assert get().read_bytes() == CONTENT


def test_part_of_something_longer_is_thrown_away(get, server, tmp_path):
    (tmp_path / "file.tar.part").write_bytes(CONTENT + b"more")
    assert get().read_bytes() == CONTENT


def test_continuing_at_a_wrong_place_is_noticed(get, server, tmp_path):
    (tmp_path / "file.tar.part").write_bytes(CONTENT[:1000])
    server.shift = 1
    with pytest.raises(DataError, match="the server continued at a wrong place"):
        get(attempts=2)


def test_wrong_checksum_throws_the_file_away(get, server, tmp_path):
    (tmp_path / "file.tar.part").write_bytes(b"x" * 1000)
    with pytest.raises(DataError) as caught:
        get()
    message = str(caught.value)
    assert "arrived with the MD5 checksum" in message
    assert f"so it was thrown away. Allowed: {MD5}. Try: the same command again" in message
    assert list(tmp_path.iterdir()) == []
    assert get().read_bytes() == CONTENT


def test_refusals_of_the_server(get, server):
    with pytest.raises(
        DataError, match=r"absent\.tar: the server answers 404 Not Found\. Try: another --url"
    ):
        get("absent.tar")
    assert len(server.ranges) == 1, "asking again would not help"
    server.statuses = [503, 500]
    assert get().read_bytes() == CONTENT
    server.files["other"] = CONTENT
    server.statuses = [503, 503]
    with pytest.raises(DataError, match=r"2 attempts \(the server answers 503 Service Unavailable\)"):
        get("other", attempts=2)


def test_nobody_answers(tmp_path):
    with pytest.raises(DataError, match=r"download stopped after 0 bytes and 2 attempts \(.*refused"):
        fetch("http://127.0.0.1:1/x", tmp_path / "x", md5=MD5, attempts=2, wait=0)


@pytest.mark.parametrize("with_length", [True, False])
def test_longer_than_expected(get, server, with_length):
    server.with_length = with_length
    with pytest.raises(DataError, match=r"is longer than expected, .* Allowed: at most 500,000 bytes"):
        get(max_bytes=500_000)


def test_full_disk(get, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    with pytest.raises(
        DataError, match=r"needs 1,024,000 bytes, but the disk has 10 free. Try: another --out"
    ):
        get()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "x.tar"])
def test_only_http(tmp_path, url):
    with pytest.raises(ConfigError, match=r"cannot download from .* Allowed: an http:// or https:// address"):
        fetch(url, tmp_path / "x", md5=MD5)


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "data:,x"])
def test_redirects_stay_with_http(get, server, target):
    server.redirects = {"moved": "/file.tar", "away": target}
    assert get("moved").read_bytes() == CONTENT
    asked = len(server.ranges)
    with pytest.raises(DataError) as caught:
        get("away")
    if target.startswith("ftp:"):
        assert f"away: the server sends on to {target!r}. Allowed: an http:// or https:" in str(caught.value)
    assert len(server.ranges) == asked + 1, "not tried again"


def tar_of(members):
    """A tar file from (name, bytes or TarInfo changes) pairs."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, dict):
                for key, value in content.items():
                    setattr(info, key, value)
                tar.addfile(info)
            else:
                info.size, info.mode = len(content), 0o6777
                tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


HOSTILE = {
    "absolute": ("/VOCdevkit/x", b"", "which leads out of VOCdevkit"),
    "up": ("VOCdevkit/../../x", b"", "which leads out of VOCdevkit"),
    "beside": ("elsewhere/x", b"", "which leads out of VOCdevkit"),
    "backslash": ("VOCdevkit\\..\\..\\x", b"", "which leads out of VOCdevkit"),
    "symlink": (
        "VOCdevkit/l",
        {"type": tarfile.SYMTYPE, "linkname": "/etc"},
        "a link, device or sparse file",
    ),
    "hardlink": ("VOCdevkit/l", {"type": tarfile.LNKTYPE, "linkname": "VOCdevkit/a"}, "a link, device"),
    "sparse": ("VOCdevkit/s", {"type": tarfile.GNUTYPE_SPARSE}, "a link, device or sparse file"),
    "device": ("VOCdevkit/d", {"type": tarfile.CHRTYPE}, "a link, device or sparse file"),
    "fifo": ("VOCdevkit/f", {"type": tarfile.FIFOTYPE}, "a link, device or sparse file"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_archive_unpacks_nothing(tmp_path, name):
    member, content, message = HOSTILE[name]
    file = tmp_path / "hostile.tar"
    file.write_bytes(tar_of([("VOCdevkit/good", b"good"), (member, content)]))
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        unpack(file, out, Archive(name="hostile.tar", md5=""))
    assert str(caught.value).startswith(f"{file}: holds {member!r}, ")
    assert message in str(caught.value)
    assert "nothing was unpacked" in str(caught.value)
    assert list((tmp_path / "deep").rglob("*")) == [out]


def test_limits_of_an_archive(tmp_path):
    file = tmp_path / "a.tar"
    file.write_bytes(tar_of([("VOCdevkit/a", b"12345"), ("VOCdevkit/b", b"67890")]))
    for limit in ({"max_bytes": 9}, {"max_members": 1}):
        with pytest.raises(DataError, match="unpacks to more than it may"):
            unpack(file, tmp_path, Archive(name="a.tar", md5="", **limit))
    assert list(tmp_path.iterdir()) == [file]


def test_unpacked_files_are_plain(tmp_path):
    file = tmp_path / "a.tar"
    file.write_bytes(tar_of([("VOCdevkit/sub/a", b"12345")]))
    unpack(file, tmp_path, Archive(name="a.tar", md5=""))
    unpacked = tmp_path / "VOCdevkit/sub/a"
    assert unpacked.read_bytes() == b"12345"
    assert unpacked.stat().st_mode & 0o7111 == 0, "the archive's mode bits are not taken over"


@pytest.mark.parametrize("content", [b"", b"no tar" * 1000, None])
def test_no_tar(tmp_path, content):
    file = tmp_path / "a.tar"
    whole = tar_of([("VOCdevkit/a", b"1" * 5000)])
    file.write_bytes(whole[:2000] if content is None else content)
    with pytest.raises(DataError, match="is not a readable tar archive"):
        unpack(file, tmp_path, Archive(name="a.tar", md5=""))


def test_unpacking_onto_a_folder(tmp_path):
    file = tmp_path / "a.tar"
    file.write_bytes(tar_of([("VOCdevkit/a", b"1")]))
    (tmp_path / "VOCdevkit/a").mkdir(parents=True)
    with pytest.raises(DataError, match=r"cannot unpack a\.tar here"):
        unpack(file, tmp_path, Archive(name="a.tar", md5=""))


VOC_XML = (
    "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>7</ymax>"
    "</bndbox></object></annotation>"
)


@pytest.fixture
def tiny_voc2007(server):
    """Two small archives in VOC 2007's layout, served, with their true checksums."""

    def archive(name, split, ids):
        photo = io.BytesIO()
        Image.new("RGB", (9, 7)).save(photo, "JPEG")
        top = "VOCdevkit/VOC2007/"
        members = [(f"{top}ImageSets/Main/{split}.txt", "\n".join(ids).encode())]
        members += [(f"{top}JPEGImages/{item}.jpg", photo.getvalue()) for item in ids]
        members += [(f"{top}Annotations/{item}.xml", VOC_XML.encode()) for item in ids]
        content = tar_of([("VOCdevkit", {"type": tarfile.DIRTYPE}), *members])
        server.files[name] = content
        return Archive(name=name, md5=hashlib.md5(content).hexdigest())

    return archive("a.tar", "trainval", ["000001", "000003"]), archive("b.tar", "test", ["000002"])


def test_voc2007_from_archives_to_data_set(server, tmp_path, tiny_voc2007):
    server.breaks, server.break_after = 1, 700
    out = tmp_path / "out"
    folder = fetch_voc2007(out, url=server.url, archives=tiny_voc2007)
    data = open_dataset(folder)
    assert {name: len(ids) for name, ids in data.splits.items()} == {"trainval": 2, "test": 1}
    assert (len(data), data.name, data.problems) == (3, "VOC2007", ())
    assert sorted(path.name for path in out.iterdir()) == ["VOCdevkit", "voc2007.json"]
    asked = len(server.ranges)
    fetch_voc2007(out, url=server.url, archives=tiny_voc2007)
    assert len(server.ranges) == asked, "what is done is not done again"
    (out / "voc2007.json").write_text("damaged")
    fetch_voc2007(out, url=server.url, archives=tiny_voc2007, keep_archives=True)
    assert len(list(out.glob("*.tar"))) == 2


def test_out_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(DataError, match="out: cannot be made"):
        fetch_voc2007(tmp_path / "out")


def test_official_archives():
    assert {archive.name: archive.md5 for archive in download.VOC2007_ARCHIVES} == {
        "VOCtrainval_06-Nov-2007.tar": "c52e279531787c972589f7e41ab4ae64",
        "VOCtest_06-Nov-2007.tar": "b6e924de25625d8de591ea690078ad9f",
    }


def test_a_full_disk_is_said_and_not_tried_again(get, server, tmp_path, monkeypatch):
    def full(_stream, _content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download, "write_all", full)
    before = len(server.ranges)
    with pytest.raises(FileError, match=r"file\.tar\.part.*No space left on device"):
        get()
    assert len(server.ranges) == before + 1

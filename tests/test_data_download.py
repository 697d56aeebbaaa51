"""Fetching and unpacking: interrupted, damaged, hostile or offline, it ends well or says why."""

import gzip
import hashlib
import io
import os
import socket
import stat
import struct
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mini_nn import data
from mini_nn.data import archive, datasets, download, folders, similar
from mini_nn.data.folders import examine

pytest.importorskip("pooch", reason="downloading needs the extra data: pip install 'mini-nn[data]'")
CONTENT = np.random.default_rng(0).bytes(300_000)
CHECKSUM = "sha256:" + hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """A server on this machine that misbehaves as told, and remembers what was asked."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {"/file.bin": CONTENT}, []
        self.breaks_after = None  # bytes, then the connection is cut
        self.knows_ranges, self.kind, self.length = True, "application/octet-stream", True

    def url(self, path="/file.bin"):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        content = server.files.get(self.path)
        if content is None:
            return self.send_error(404)
        start = 0
        if self.headers.get("Range") and server.knows_ranges:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if server.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.send_header("Content-Type", server.kind)
        self.end_headers()
        self.wfile.write(content[start:][: server.breaks_after])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(server, folder, checksum=CHECKSUM):
    return download.fetch(server.url(), checksum, "file.bin", folder, progress=False)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once(server, tmp_path):
    for _ in range(2):
        assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None]
    assert names(tmp_path) == ["file.bin"]


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    server.breaks_after = 200_000
    with pytest.raises(download.DownloadError, match="bytes are kept") as error:
        fetch(server, tmp_path)
    assert server.url() in str(error.value)
    kept = (tmp_path / "file.bin.part").stat().st_size
    assert 0 < kept <= 200_000
    assert names(tmp_path) == ["file.bin.part"]
    server.breaks_after = None
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={kept}-"]
    assert names(tmp_path) == ["file.bin"]


def test_a_server_without_ranges_sends_it_all_again(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    server.knows_ranges = False
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_complete_is_used(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == [f"bytes={len(CONTENT)}-"]


def test_a_part_of_another_version_is_thrown_away(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(b"x" * 1000)
    assert fetch(server, tmp_path).read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-", None]


def test_a_wrong_checksum_leaves_no_file(server, tmp_path):
    server.files["/file.bin"] = CONTENT[:-1] + b"!"
    with pytest.raises(download.DownloadError, match="checksum is wrong"):
        fetch(server, tmp_path)
    assert names(tmp_path) == []


def test_a_file_that_was_changed_on_disk_is_fetched_again(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"other")
    assert fetch(server, tmp_path).read_bytes() == CONTENT


def test_a_truncated_file_without_a_length_is_caught_by_its_checksum(server, tmp_path):
    server.length, server.breaks_after = False, 1000
    with pytest.raises(download.DownloadError, match="checksum is wrong"):
        fetch(server, tmp_path)
    assert names(tmp_path) == []


def test_a_web_page_instead_of_the_file_is_refused(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:1000])
    server.kind = "Text/HTML; charset=utf-8"
    with pytest.raises(download.DownloadError, match="web page"):
        fetch(server, tmp_path)
    assert (tmp_path / "file.bin.part").read_bytes() == CONTENT[:1000]


def test_a_missing_file_is_named_with_its_number(server, tmp_path):
    server.files.clear()
    with pytest.raises(download.DownloadError, match="404") as error:
        fetch(server, tmp_path)
    assert server.url() in str(error.value)


def test_without_a_network_the_message_says_what_to_do(tmp_path):
    with socket.socket() as unused:  # bound, but nobody listens
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file.bin"
        with pytest.raises(download.DownloadError, match="cannot be reached") as error:
            download.fetch(url, CHECKSUM, "file.bin", tmp_path, progress=False)
    assert f"put the file at {tmp_path / 'file.bin'}" in str(error.value)


def test_without_pooch_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pooch", None)
    with pytest.raises(download.DownloadError, match="pip install 'mini-nn\\[data\\]'"):
        download.fetch("http://127.0.0.1/", CHECKSUM, "file.bin", tmp_path)


# ---- archives


def tar(path, members, mode="w:gz"):
    """members: (name, content) or a TarInfo."""
    with tarfile.open(path, mode) as file:
        for member in members:
            info, content = member if isinstance(member, tuple) else (member, b"")
            if isinstance(info, str):
                info, info.size = (info := tarfile.TarInfo(info)), len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def zipped(path, members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content, **options)
    return path


def link(kind, name="innocent", target="/etc/passwd"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


GOOD = [("data/a.txt", b"a" * 100), ("data/b/c.txt", b""), ("data/b/d.bin", CONTENT)]


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip"])
def test_an_archive_is_unpacked_whole(tmp_path, kind):
    path = tmp_path / f"good.{kind}"
    zipped(path, GOOD) if kind == "zip" else tar(path, GOOD, "w:gz" if kind == "tar.gz" else "w")
    out = archive.unpack(path, tmp_path / "deep" / "out")
    assert {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()} == dict(GOOD)
    assert names(out.parent) == ["out"]
    with pytest.raises(ValueError, match="there already"):
        archive.unpack(path, out)


HOSTILE = [
    "../out.txt",
    "/out.txt",
    "a/../../out.txt",
    "C:\\out.txt",
    "C:out.txt",
    "..\\out.txt",
    "\\\\host\\out",
    "//a",
]


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_leads_outside_is_refused(tmp_path, kind, name):
    make = zipped if kind == "zip" else tar
    refused(make(tmp_path / f"bad.{kind}", [("fine.txt", b"1"), (name, b"2")]), "name")


def refused(path, why, **limits):
    """The archive is refused for this reason, by its name, and nothing is left."""
    before = names(path.parent)
    with pytest.raises(ValueError, match=why) as error:
        archive.unpack(path, path.parent / "out", **limits)
    assert path.name in str(error.value)
    assert names(path.parent) == before
    assert not (path.parent.parent / "out.txt").exists()


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (tarfile.SYMTYPE, "it is a link"),
        (tarfile.LNKTYPE, "it is a link"),
        (tarfile.CHRTYPE, "no plain file"),
        (tarfile.BLKTYPE, "no plain file"),
        (tarfile.FIFOTYPE, "no plain file"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind, why):
    refused(tar(tmp_path / "bad.tar.gz", [("fine", b""), link(kind)]), why)


@pytest.mark.parametrize(("mode", "why"), [(stat.S_IFLNK, "it is a link"), (stat.S_IFIFO, "no plain file")])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode, why):
    info = zipfile.ZipInfo("innocent")
    info.external_attr = (mode | 0o777) << 16
    refused(zipped(tmp_path / "bad.zip", [(info, b"/etc/passwd")]), why)


def test_a_name_that_comes_twice_is_refused(tmp_path):
    refused(tar(tmp_path / "same.tar", [("a", b"1"), ("a", b"2")], "w"), "name comes twice")
    refused(tar(tmp_path / "hidden.tar", [("b/a", b"1"), ("b//a", b"2")], "w"), "FileExists")


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_bomb_is_refused(tmp_path, kind):
    make = zipped if kind == "zip" else tar
    refused(make(tmp_path / f"bomb.{kind}", [("zeros", bytes(20_000_000))]), "a bomb")


def test_too_many_bytes_or_files_are_refused(tmp_path, monkeypatch):
    path = tar(tmp_path / "large.tar", [("a", CONTENT), ("b", CONTENT)], "w")
    refused(path, "more than 500,000 bytes", max_bytes=500_000)
    monkeypatch.setattr(archive, "MAX_FILES", 1)
    refused(path, "more than 1 files")


def test_a_bomb_in_a_header_is_refused(tmp_path):
    """A tar may declare a name of gigabytes: the header itself must not fill the memory."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 30
    path = tmp_path / "name.tar.gz"
    with gzip.open(path, "wb", 9) as file:
        file.write(info.tobuf())
        for _ in range(60):
            file.write(b"a" * (1 << 20))
    refused(path, "grows without an end")


def test_members_that_overlap_are_refused(tmp_path):
    """Two entries of the directory point to the same bytes (D. Fifield, 2019)."""
    path = zipped(tmp_path / "shared.zip", [("a", CONTENT), ("b", b"")])
    raw = bytearray(path.read_bytes())
    first = raw.index(b"PK\x01\x02")
    second = raw.index(b"PK\x01\x02", first + 4)
    sizes = slice(first + 16, first + 28)  # checksum and sizes
    raw[second + 16 : second + 28] = raw[sizes]
    path.write_bytes(raw)
    refused(path, "members overlap")


def test_a_size_that_lies_is_refused(tmp_path):
    path = zipped(tmp_path / "lie.zip", [("a", CONTENT)])
    raw = bytearray(path.read_bytes())
    struct.pack_into("<I", raw, raw.index(b"PK\x01\x02") + 24, 10)
    path.write_bytes(raw)
    refused(path, "lie.zip")


@pytest.mark.parametrize("kind", ["tar.gz", "tar", "zip"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.98])
def test_a_cut_archive_is_refused(tmp_path, kind, keep):
    path = tmp_path / f"cut.{kind}"
    zipped(path, GOOD) if kind == "zip" else tar(path, GOOD, "w:gz" if kind == "tar.gz" else "w")
    raw = path.read_bytes()
    path.write_bytes(raw[: int(keep * len(raw))] if (kind, keep) != ("tar", 0.98) else raw[:200_000])
    refused(path, "cut")


def test_an_encrypted_zip_is_refused(tmp_path):
    path = zipped(tmp_path / "secret.zip", [("a", b"1")])
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    refused(path, "encrypted")


# ---- data sets by name, from small copies


@pytest.fixture
def hosted(server, tmp_path, monkeypatch):
    """Put an archive on the server in place of the official one: hosted("CIFAR10", path)."""
    monkeypatch.setenv("MINI_NN_DATA", str(tmp_path / "cache"))
    for name in ("CIFAR10", "IMAGENETTE", "OXFORD_PETS", "SIGN_DIGITS"):
        monkeypatch.delenv(f"MINI_NN_{name}", raising=False)

    def host(constant, path, checked=True):
        source = getattr(datasets, constant)
        server.files[f"/{source.name}"] = path.read_bytes()
        checksum = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest() if checked else None
        changed = source._replace(url=server.url(f"/{source.name}"), checksum=checksum)
        monkeypatch.setattr(datasets, constant, changed)

    return host


def jpeg(seed):
    file = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (6, 7, 3), np.uint8)
    Image.fromarray(noise).resize((30, 20)).save(file, "JPEG")
    return file.getvalue()


def test_cifar10_is_read_from_its_records(hosted, server, tmp_path, rng, monkeypatch):
    assert datasets.CIFAR10_RECORDS == 10_000
    monkeypatch.setattr(datasets, "CIFAR10_RECORDS", 20)
    records = rng.integers(0, 256, (120, 3073), np.uint8)
    records[:, 0] %= 10
    parts = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
    members = [
        (f"cifar-10-batches-bin/{name}", records[20 * i : 20 * (i + 1)].tobytes())
        for i, name in enumerate(parts)
    ]
    hosted("CIFAR10", tar(tmp_path / "c.tar", members, "w"))
    splits = data.load("cifar10")
    assert (len(splits.train), len(splits.valid)) == (100, 20)
    assert splits.classes[3] == "cat"
    image, label = splits.valid[7]
    assert image.shape == (32, 32, 3)
    assert label == records[107, 0]
    assert image[2, 5, 1] == np.float32(records[107, 1 + 1024 + 2 * 32 + 5]) / np.float32(
        255
    )  # row 2, column 5, green
    assert len(server.asked) == 1
    data.load("cifar10")
    assert len(server.asked) == 1  # kept
    with pytest.raises(ValueError, match="one size only"):
        data.load("cifar10", size=(64, 64))


def test_imagenette_keeps_its_own_split(hosted, tmp_path):
    members = [
        (f"imagenette2-320/{part}/{wnid}/{wnid}_{i}.JPEG", jpeg(i))
        for part, count in (("train", 2), ("val", 1))
        for wnid in datasets.IMAGENETTE_CLASSES
        for i in range(count)
    ]
    hosted("IMAGENETTE", tar(tmp_path / "i.tgz", members))
    splits = data.load("imagenette", size=(16, 24))
    assert splits.classes[0] == "tench"
    assert splits.train.y.tolist() == list(np.repeat(range(10), 2))
    assert splits.valid.y.tolist() == list(range(10))
    assert splits.valid[3][0].shape == (16, 24, 3)


def test_oxford_pets_follow_their_lists(hosted, tmp_path):
    stems = ["Abyssinian_1", "Abyssinian_2", "great_dane_7", "great_dane_8"]
    hosted(
        "PET_IMAGES",
        tar(tmp_path / "p.tgz", [(f"images/{stem}.jpg", jpeg(i)) for i, stem in enumerate(stems)]),
    )
    lists = [
        ("annotations/trainval.txt", b"# a comment\nAbyssinian_1 1 1 1\ngreat_dane_8 2 2 1\n"),
        ("annotations/test.txt", b"great_dane_7 2 2 1\nAbyssinian_2 1 1 1\n"),
    ]
    hosted("PET_LISTS", tar(tmp_path / "l.tgz", lists))
    splits = data.load("oxford_pets")
    assert splits.classes == ("Abyssinian", "great dane")
    assert [path.stem for path in splits.train.paths] == ["Abyssinian_1", "great_dane_8"]
    assert splits.valid.y.tolist() == [1, 0]
    assert splits.train[1][0].shape == (224, 224, 3)


@pytest.fixture
def signs(tmp_path, monkeypatch):
    """Three signs of each kind, with a manifest of their own."""
    contents = {f"{digit}/IMG_{i}.JPG": jpeg(10 * digit + i) for digit in range(10) for i in range(3)}
    lines = [f"{hashlib.sha256(c).hexdigest()} {i} {name}" for i, (name, c) in enumerate(contents.items())]
    (tmp_path / "manifest.txt").write_text("\n".join(lines))
    monkeypatch.setattr(datasets, "SIGNS_MANIFEST", tmp_path / "manifest.txt")
    return contents


def test_sign_digits_are_compared_file_by_file(hosted, signs, tmp_path):
    inside = datasets.SIGNS.inside
    hosted(
        "SIGNS",
        zipped(tmp_path / "s.zip", [(f"{inside}/{name}", c) for name, c in signs.items()]),
        checked=False,
    )
    splits = data.load("sign_digits")
    assert (len(splits.train), len(splits.valid)) == (20, 10)
    assert splits.train[0][0].shape == (64, 64, 3)
    assert "same people" in splits.note
    assert "same people" in str(splits)


def test_a_local_copy_is_used_and_every_difference_named(signs, tmp_path, monkeypatch):
    copy = tmp_path / "data" / "sign_digits"
    for name, content in signs.items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(content)
    for place in (copy, copy.parent):
        monkeypatch.setenv("MINI_NN_SIGN_DIGITS", str(place))
        assert len(data.load("sign_digits").train) == 20
    (copy / "3" / "IMG_1.JPG").write_bytes(jpeg(77))
    (copy / "4" / "IMG_2.JPG").unlink()
    with pytest.raises(
        ValueError, match=r"2 of 30 files: 3/IMG_1\.JPG is different, 4/IMG_2\.JPG is missing"
    ):
        data.load("sign_digits")
    monkeypatch.setenv("MINI_NN_SIGN_DIGITS", str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="MINI_NN_SIGN_DIGITS"):
        data.load("sign_digits")


def test_a_damaged_archive_is_fetched_again_next_time(hosted, signs, server, tmp_path):
    (tmp_path / "s.zip").write_bytes(b"PK, but no zip")
    hosted("SIGNS", tmp_path / "s.zip", checked=False)
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be unpacked"):
            data.load("sign_digits")
    assert len(server.asked) == 2


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="mnist_5k, cifar10, imagenette, oxford_pets, sign_digits"):
        data.load("mnist")


COPY = Path(
    os.environ.get("MINI_NN_SIGN_DIGITS", Path(__file__).parents[2] / "shared" / "data" / "sign_digits")
)
needs_copy = pytest.mark.skipif(not COPY.is_dir(), reason=f"the sign digits are not at {COPY}")


def manifest(base, classes="0123456789"):
    """The shipped manifest, made anew: sha256, group, path.  To write it: SIGNS_MANIFEST.write_text(manifest(COPY))."""
    found, _ = folders.classes_of(base)
    paths = [path for name in classes for path in found[name]]
    group = similar.groups([examine(path) for path in paths])
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()} {number} {path.relative_to(base).as_posix()}"
        for path, number in zip(paths, group, strict=True)
    ]
    return "\n".join(lines) + "\n"


@needs_copy
def test_the_sign_digits_are_those_of_the_manifest(monkeypatch):
    monkeypatch.setenv("MINI_NN_SIGN_DIGITS", str(COPY))
    splits = data.load("sign_digits")
    assert (len(splits.train), len(splits.valid)) == (1651, 411)
    assert np.bincount(splits.valid.y).tolist() == [41, 41, 41, 41, 41, 41, 41, 41, 42, 41]
    assert {image.shape for image, _ in splits.valid.take(range(5))} == {(64, 64, 3)}


@needs_copy
def test_the_manifest_is_what_its_maker_makes():
    """Of two classes: what belongs together there has one number in the manifest."""
    shipped = {
        name: (checksum, group) for checksum, group, name in map(str.split, lines(datasets.SIGNS_MANIFEST))
    }
    assert len(shipped) == 2062
    together = {}
    for checksum, group, name in map(str.split, manifest(COPY, "34").splitlines()):
        assert shipped[name][0] == checksum
        together.setdefault(group, set()).add(shipped[name][1])
    assert len(together) < 413
    assert all(len(numbers) == 1 for numbers in together.values())


def lines(path):
    return path.read_text().splitlines()

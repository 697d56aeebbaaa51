"""Broken, wrong and hostile files: always a ValueError that names the file and what is wrong, quickly, in little memory."""

import json
import os
import pickle
import struct
import subprocess
import tracemalloc
import zipfile

import numpy as np
import pytest
import weight_files
from weight_files import MAGIC, Raw, call, dump, name, pickled

from mini_nn import core, models, weights
from mini_nn.layers import BatchNorm, Dense, Sequential
from mini_nn.weights import torch_pickle

ARRAYS = {"weight": np.arange(6, dtype=np.float32).reshape(3, 2), "bias": np.ones(2, np.float32)}


def refused(path, *words, model=None, limit=100e6):
    """The message with which the file is refused; nothing is loaded, and little memory is used."""
    model = model or Dense(3, 2)
    if limit:  # measuring it is slow
        tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="^" + str(path).replace("\\", ".")) as caught:
            weights.load(model, path)
        assert tracemalloc.get_traced_memory()[1] <= limit
    finally:
        tracemalloc.stop()
    said = str(caught.value)
    for word in words:
        assert word in said, said
    assert not any(item.has_value for _, item in core.named_arrays(model))
    assert len(said) < 20_000
    return said


# ---- not a checkpoint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "a web page"),
        (b"\n <html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS"),
        (b'{"error": "Repository not found"}', "it is text"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), r"begins with b'\x89PNG"),
        (bytes(1000), "begins with b'"),
        (b"\x1f\x8b\x08" + bytes(100), "begins with"),
    ],
)
@pytest.mark.parametrize("ending", [".npz", ".dat"])
def test_something_else_is_recognised(tmp_path, content, words, ending):
    path = tmp_path / f"net{ending}"
    path.write_bytes(content)
    refused(path, words)


@pytest.mark.parametrize("ending", [".safetensors", ".pth", ".npz", ".h5"])
def test_noise_is_refused_whatever_it_is_called(tmp_path, ending):
    for seed in range(5):
        path = tmp_path / f"net{ending}"
        path.write_bytes(np.random.default_rng(seed).bytes(300))
        refused(path)


def test_a_missing_file_a_folder_and_a_pipe(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.npz"):
        weights.load(Dense(3, 2), tmp_path / "nowhere.npz")
    with pytest.raises(OSError, match=tmp_path.name):  # Windows calls it PermissionError
        weights.load(Dense(3, 2), tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.npz")
        refused(tmp_path / "pipe.npz", "not a regular file")
    for path in None, 3, 1.5:
        with pytest.raises(ValueError, match="a path is needed"):
            weights.load(Dense(3, 2), path)


# ---- pickles


class Evil:
    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


HOSTILE_GLOBALS = [
    (".system'", Evil(os.system, "echo hacked > hacked")),
    (".eval'", Evil(eval, "open('hacked', 'w')")),
    (".getattr'", Evil(getattr, "x", "upper")),
    (".Popen'", Evil(subprocess.Popen, ["touch", "hacked"])),
    ("'numpy.load'", Evil(np.load, "x")),
]


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize(("refusal", "evil"), HOSTILE_GLOBALS)
def test_a_plain_pickle_runs_nothing(tmp_path, monkeypatch, protocol, refusal, evil):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"weight": evil}, protocol))
    refused(path, refusal, "refused")
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("how", ["zip", "legacy"])
@pytest.mark.parametrize(
    ("module_and_name", "refusal"),
    [
        ("posix system", "posix.system"),
        ("nt system", "nt.system"),
        ("__builtin__ eval", "__builtin__.eval"),
        ("torch load", "torch.load"),
        ("torch._utils _rebuild_qtensor", "_rebuild_qtensor"),
        ("torch.storage _load_from_bytes", "torch.storage._load_from_bytes"),
        ("torch.nn.modules.linear Linear", "torch.nn.modules.linear.Linear"),
        ("collections defaultdict", "collections.defaultdict"),
        ("collections OrderedDict.fromkeys", "collections.OrderedDict.fromkeys"),
        ("numpy._core.multiarray _reconstruct", "numpy._core.multiarray._reconstruct"),
        ("torch QInt8Storage", "torch.QInt8Storage"),
        ("torch ComplexFloatStorage", "torch.ComplexFloatStorage"),
    ],
)
def test_a_checkpoint_with_a_foreign_global_is_refused_by_its_name(tmp_path, how, module_and_name, refusal):
    def poisoned(state):
        return {"state_dict": state, "extra": call(module_and_name, "echo hacked")}

    path = getattr(weight_files, f"write_{how}")(tmp_path / "net.pth", ARRAYS, poisoned)
    refused(path, refusal, "no code is run", "torch.save(model.state_dict(), ...)")


def numbers(*values):
    return b"".join(dump(value) for value in values)


ORDERED = name("collections OrderedDict")
STORAGE = numbers("storage") + name("torch FloatStorage") + numbers("0", "cpu", 8)
PICKLES = {
    "stack global": (b"\x8c\x02os\x8c\x06system\x93.", "'os.system'"),
    "stack global of a list": (b"]\x8c\x06system\x93.", "'a list.system'"),
    "inst": (b"(S'echo'\nios\nsystem\n.", "STRING"),
    "inst without arguments": (b"(ios\nsystem\n.", "'os.system'"),
    "inst of a known name": (b"(icollections\nOrderedDict\n.", "INST"),
    "obj": (b"(" + ORDERED + b"o.", "OBJ"),
    "newobj": (ORDERED + b")\x81.", "NEWOBJ"),
    "newobj_ex": (ORDERED + b")}\x92.", "NEWOBJ_EX"),
    "extension registry": (b"\x82\x01.", "EXT1"),
    "text persistent id": (b"Pname\n.", "PERSID"),
    "bytes": (b"C\x01a.", "SHORT_BINBYTES"),
    "set": (b"\x8f.", "EMPTY_SET"),
    "state of a list": (b"]}b.", "needs a dict"),
    "state of a tensor": (
        bytes(weight_files.tensor(0, ARRAYS["bias"], legacy=False)) + b"}b.",
        "needs a dict",
    ),
    "call of a number": (b"K\x01)R.", "calls a tensor rebuilder"),
    "call of a dict": (b"})R.", "calls a tensor rebuilder"),
    "OrderedDict of something": (ORDERED + b"]\x85R.", "calls a tensor rebuilder"),
    "a storage called": (name("torch FloatStorage") + b"K\x09\x85R.", "calls a tensor rebuilder"),
    "a rebuilder of nothing": (name("torch._utils _rebuild_tensor_v2") + b")R.", "calls a tensor rebuilder"),
    "storage that is a number": (b"K\x01Q.", "not a plain storage"),
    "storage of a negative length": (b"(" + STORAGE[:-2] + numbers(-8) + b"tQ.", "not a plain storage"),
    "storage of a wrong kind": (b"(" + numbers("storage") + ORDERED + numbers("0", "cpu", 8) + b"tQ.", "not a plain"),
    "module": (b"(" + numbers("module", "a", "b", "c") + b"tQ.", "not a plain storage"),
    "stack too short": (b"\x85.", "more values than it made"),
    "nothing": (b".", "more values than it made"),
    "mark missing": (b"t.", "never began"),
    "memo missing": (b"h\x09.", "a value (9) that it never made"),
    "memo of nothing": (b"q\x00.", "needs a object"),
    "no end": (b"}", ""),
    "unknown opcode": (b"\xff.", "unknown"),
    "append to a dict": (b"}K\x01a.", "needs a list"),
    "odd items": (b"}(K\x01u.", "keys are not all strings"),
    "unhashable key": (b"}]K\x01s.", "keys are not all strings"),
    "tuple as key": (b"}K\x01\x85K\x01s.", "keys are not all strings"),
    "huge string": (b"X\xff\xff\xff\xffab.", "expected 4294967295 bytes"),
    "huge string, 8 bytes": (b"\x8d" + b"\xff" * 7 + b"\x7fab.", "unicodestring8"),
    "huge frame": (b"\x95" + b"\xff" * 8 + b"}.", ""),
    "huge integer": (b"\x8b\xff\xff\xff\x7fab.", "long4"),
    "huge memo index": (b"}r\xff\xff\xff\xff.", ""),
    "huge decimal": (b"I" + b"9" * 5000 + b"\n.", "Exceeds the limit"),
    "not utf-8": (b"X\x01\x00\x00\x00\xff.", "utf-8"),
    "deep tuples": (b")" + b"\x85" * 100_000 + b".", "a tuple"),
    "deep lists": (b"]" * 60_000 + b"a" * 59_999 + b".", "a list"),
    "deep dicts": (b"}" + b"X\x01\0\0\0k}" * 40_000 + b"s" * 40_000 + b".", "k is a dict"),
    "a loop": (b"}q\0X\5\0\0\0modelh\0s.", "model is a dict"),
    "a list in itself": (b"}X\1\0\0\0k]q\0h\0as.", "k is a list"),
    "doubling": (b"}X\1\0\0\0k)" + b"q\0h\0\x86" * 200 + b"s.", "k is a tuple"),
    "doubling as a key": (b"})" + b"q\0h\0\x86" * 200 + b"K\1s.", "keys are not all strings"),
    "doubling as a size": (
        Raw(b"}X\6\0\0\0weight")
        + name("torch._utils _rebuild_tensor_v2") + b"((" + STORAGE + b"tQK\0)"
        + b"q\0h\0\x86" * 200 + b")\x89" + ORDERED + b")RtRs.",
        "impossible size",
    ),
    "opcodes without end": (b"}" + b"N0" * 60_000 + b".", "POP"),
    "too many opcodes": (b"]" * 160_000 + b".", "more than 150000 opcodes"),
    "a long name": (b"}X" + struct.pack("<I", 10**6) + b"k" * 10**6 + b"Ns.", "kkk... is None"),
    "a long global": (b"c" + b"m" * 10**6 + b"\nname\n.", "mmm..."),
}  # fmt: skip


@pytest.mark.parametrize("how", ["zip", "legacy"])
@pytest.mark.parametrize("case", PICKLES)
def test_a_pickle_that_torch_does_not_write_is_refused(tmp_path, monkeypatch, case, how):
    monkeypatch.setattr(torch_pickle, "MAX_OPCODES", 150_000)
    code, word = PICKLES[case]
    code, path = b"\x80\x02" + bytes(code), tmp_path / "net.pth"
    if how == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", code)
            archive.writestr("archive/data/0", bytes(32))
    else:
        info = pickled({"little_endian": True})
        path.write_bytes(
            pickled(MAGIC) + pickled(1001) + info + code + pickled(["0"]) + struct.pack("<q", 8) + bytes(32)
        )
    refused(path, word, limit=len(code) < 10**4 and 1e6)


LIES = {
    "stride": ({"stride": (3, 1)}, "reaches past its storage of 6"),
    "offset": ({"offset": 1}, "reaches past its storage of 6"),
    "size": ({"size": (3, 3)}, "reaches past its storage of 6"),
    "huge size": ({"size": (2**40, 2**7)}, "reaches past"),
    "overflowing size": ({"size": (2**32, 2**32), "stride": (0, 0)}, "impossible size"),
    "repeated numbers": ({"size": (10**9, 2), "stride": (0, 1)}, "reaches past its storage of 6"),
    "negative stride": ({"stride": (-2, 1), "offset": 4}, "impossible size, stride or offset"),
    "negative offset": ({"offset": -1}, "impossible size, stride or offset"),
    "negative size": ({"size": (-3, -2)}, "impossible size, stride or offset"),
    "wrong number of strides": ({"stride": (1,)}, "impossible size, stride or offset"),
    "a word as size": ({"size": ("3", 2)}, "impossible size, stride or offset"),
    "a truth as size": ({"size": (True, 2)}, "impossible size, stride or offset"),
    "many axes": ({"size": (1,) * 70, "stride": (1,) * 70}, "impossible size"),
    "long storage": ({"numel": 7}, "storage 0"),
    "huge storage": ({"numel": 2**60}, "not a plain storage"),
    "wide storage": ({"kind": "torch DoubleStorage"}, "storage"),
    "integers": ({"kind": "torch IntStorage"}, "holds int32"),
}


@pytest.mark.parametrize("how", ["zip", "legacy"])
@pytest.mark.parametrize("case", LIES)
def test_a_tensor_must_lie_inside_its_storage(tmp_path, case, how):
    lies, words = LIES[case]
    layer = Dense(3, 2)
    layer.bias = None
    path = getattr(weight_files, f"write_{how}")(tmp_path / "net.pth", {"weight": ARRAYS["weight"]}, **lies)
    refused(path, words, model=layer)


@pytest.mark.parametrize("how", ["zip", "legacy"])
@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda _: 3, "it holds 3, not a state_dict"),
        (lambda _: [], "it holds a list"),
        (lambda state: {"net": state}, "its net is a dict, not a tensor"),
        (lambda state: {"state_dict": {"state_dict": {"state_dict": {"state_dict": state}}}}, "not a tensor"),
        (lambda _: {3: 4}, "its 3 is 4"),
        (lambda _: {}, ""),
    ],
)
def test_what_is_not_a_state_dict_is_refused(tmp_path, how, wrap, words):
    refused(getattr(weight_files, f"write_{how}")(tmp_path / "net.pth", ARRAYS, wrap), words)


def test_another_byte_order_is_refused(tmp_path):
    refused(weight_files.write_zip(tmp_path / "net.pth", ARRAYS, order=b"big"), "big-endian")
    refused(weight_files.write_legacy(tmp_path / "net.pth", ARRAYS, little_endian=False), "big-endian")


def test_a_legacy_file_needs_its_parts(tmp_path):
    path = tmp_path / "net.pth"
    for parts, words in [
        ([pickled(7)], "not one that torch.save wrote"),
        ([pickled(MAGIC)], "exhausted"),
        ([pickled(MAGIC), pickled(1002), pickled({"little_endian": True})], "unknown version"),
        ([pickled(MAGIC), pickled(1001), pickled([])], "unknown version"),
        (
            [pickled(MAGIC), pickled(1001), pickled({"little_endian": True}), pickled({}), pickled(["1"])],
            "list of stor",
        ),
        (
            [pickled(MAGIC), pickled(1001), pickled({"little_endian": True}), pickled({}), pickled(3)],
            "list of stor",
        ),
    ]:
        path.write_bytes(b"".join(parts))
        refused(path, words)


# ---- zip archives


def test_a_damaged_or_hostile_archive_is_refused(tmp_path):
    path = tmp_path / "net.pth"
    weight_files.write_zip(path, ARRAYS)
    sound = path.read_bytes()
    inside = sound.index(ARRAYS["weight"].tobytes())
    path.write_bytes(sound[: inside + 5] + b"\x01" + sound[inside + 6 :])
    refused(path, "checksum")
    central = sound.index(b"PK\1\2", sound.index(b"archive/data/0", inside) - 60)
    for at, new, words in [
        (24, struct.pack("<I", 2**31), "is compressed"),  # its size
        (20, struct.pack("<II", 2**31, 2**31), "past the file's"),  # both sizes
        (42, struct.pack("<I", 0), "inside another one"),  # where it is
        (42, struct.pack("<I", 7), "no header"),
        (42, struct.pack("<I", 2**31), "no header"),
        (8, struct.pack("<H", 1), "is encrypted"),
        (10, struct.pack("<H", 99), "is compressed"),
        (46, b"archive/data/1", "twice"),  # its name
        (46, b"archive/data/7", "storage 0 is missing"),
        (46, b"archive/data\xff1", ""),
    ]:
        changed = bytearray(sound)
        changed[central + at : central + at + len(new)] = new
        path.write_bytes(changed)
        refused(path, words)


@pytest.mark.parametrize("inside", ["weight.npy", "archive/data.pkl", "archive/data/0"])
def test_a_zip_bomb_is_refused_unopened(tmp_path, inside):
    path = tmp_path / "net.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open(inside, "w") as file:
        file.write(bytes(20_000_000))
    refused(path, f"{inside} is compressed (20000000 bytes)")


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ({}, "missing: weight"),
        ({"word/document.xml": b"<a/>"}, "magic"),
        ({"config.json": b"{}", "model.weights.h5": b""}, "a .keras archive; model.save_weights"),
        ({"a/data.pkl": b"N.", "b/data.pkl": b"N."}, "2 data.pkl"),
        ({"a/data.pkl": b""}, "exhausted"),
        ({"a/data.pkl": b"N." + bytes(2**23)}, "more than any network needs"),
        ({"weight.npy": b"\x93NUMPY\x03\x00" + bytes(90)}, "no sound .npy header"),
        ({"weight.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + bytes(90)}, ""),
        ({"mini_nn.npy": b"\x93NUMPY\x01\x00" + bytes(90)}, ""),
    ],
)
def test_an_archive_of_something_else_is_refused(tmp_path, records, words):
    path = tmp_path / "net.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, content in records.items():
            archive.writestr(inside, content)
    refused(path, words)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("{'descr': '|O', 'fortran_order': False, 'shape': (3, 2)}", "holds object"),
        ("{'descr': '<c8', 'fortran_order': False, 'shape': (3, 2)}", "holds complex64"),
        ("{'descr': '<U2', 'fortran_order': False, 'shape': (3, 1)}", "holds <U2"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 2)}", "not numbers"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3000000000, 2)}", "does not fill its record"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", "not numbers"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-3, -2)}", "not numbers"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", "does not fill its record"),
        ("{'descr': '<f4', 'fortran_order': False}", ""),
        ("__import__('os').system('touch hacked')", ""),
        ("(" * 5000, ""),
        ("[" + "-" * 9000 + "1]", ""),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2" + "0" * 5000 + ")}", ""),
    ],
)
def test_a_lying_npy_header_is_refused(tmp_path, monkeypatch, header, words):
    monkeypatch.chdir(tmp_path)
    text = header.encode() + b"\n"
    with zipfile.ZipFile(tmp_path / "net.npz", "w") as archive:
        record = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + ARRAYS["weight"].tobytes()
        archive.writestr("weight.npy", record)
    refused(tmp_path / "net.npz", words)
    assert not (tmp_path / "hacked").exists()


def test_objects_in_npz_are_refused(tmp_path):
    with (tmp_path / "net.npz").open("wb") as file:
        np.savez(file, weight=np.array([{"a": 1}], object), allow_pickle=True)
    refused(tmp_path / "net.npz", "weight.npy holds object")


# ---- safetensors


def entry(dtype="F32", shape=(3, 2), offsets=(0, 24)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (
            {"weight": entry(offsets=(0, 32)), "bias": entry(shape=(2,), offsets=(24, 32))},
            "weight (3, 2) F32 needs 24",
        ),
        (
            {"weight": entry(), "bias": entry(shape=(2,), offsets=(16, 24))},
            "bias (2,) F32 needs 8 bytes from byte 24",
        ),
        ({"weight": entry(), "bias": entry(shape=(2,), offsets=(25, 33))}, "needs 8 bytes from byte 24"),
        ({"weight": entry(), "bias": entry(shape=(2,), offsets=(0, 8))}, "bytes from byte"),
        ({"weight": entry()}, "end at byte"),
        ({"weight": entry(), "bias": entry(shape=(3,), offsets=(24, 36))}, "end at byte"),
        ({"weight": entry(shape=(6, 10**12), offsets=(0, 24 * 10**12))}, "end at byte"),
        ({"weight": entry(shape=(2**62, 2**62, 4))}, "impossible shape"),
        ({"weight": entry(shape=(-3, -2))}, "impossible shape"),
        ({"weight": entry(shape=(3.0, 2))}, "impossible shape"),
        ({"weight": entry(shape=(True, 6))}, "impossible shape"),
        ({"weight": entry(shape=[1] * 100 + [6])}, "impossible shape"),
        ({"weight": entry(offsets=(24, 0))}, "needs 24 bytes"),
        ({"weight": entry(offsets=(-24, 0))}, "no sound data_offsets"),
        ({"weight": entry(offsets=(0, 24, 24))}, "no sound data_offsets"),
        ({"weight": entry(offsets=(0, 2**64))}, "no sound data_offsets"),
        ({"weight": entry(dtype="F8_E4M3")}, "unknown dtype F8_E4M3"),
        ({"weight": entry(dtype=["F32"])}, "unknown dtype a list"),
        ({"weight": 3}, "no sound data_offsets"),
        ({"weight": {}}, "no sound data_offsets"),
        ({"__metadata__": 3}, "metadata is 3"),
        (b"[]", "not a JSON object"),
        (b"3", "not a JSON object"),
        (b'{"weight": ', "Expecting value"),
        (b'{"a":[' * 100_000, "damaged: RecursionError"),
        (b'{"a": {}, "a": {}}', "twice"),
        (b'{"weight": {"dtype": "F32", "dtype": "F32"}}', "twice"),
        (b'{"weight": {"dtype": "F32", "shape": [' + b"9" * 5000 + b"]}}", "limit"),
        (b"\xff{}", "codec"),
    ],
)
def test_a_lying_header_of_safetensors_is_refused(tmp_path, lie, words):
    def edit(header):
        if isinstance(lie, bytes):
            return lie
        header.clear()
        return header.update(lie)

    refused(weight_files.write_safetensors(tmp_path / "net.safetensors", ARRAYS, edit), words)


@pytest.mark.parametrize("length", [0, 10, 10**6, 2**31, 2**62, 2**64 - 1])
def test_a_lying_length_of_the_header_is_refused(tmp_path, length):
    path = weight_files.write_safetensors(tmp_path / "net.safetensors", ARRAYS)
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    refused(path)


def test_a_header_as_large_as_it_says_is_still_too_large(tmp_path):
    path = tmp_path / "net.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", 2**32))
        file.truncate(2**32 + 8)
    refused(path, "more than any network needs")


# ---- our own metadata


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda about: about.update(version=2), "of version 2, this mini_nn reads 1"),
        (lambda about: about.update(version="1"), "not mini_nn's"),
        (lambda about: about.update(version=True), "not mini_nn's"),
        (lambda about: about.pop("crc32"), "damaged"),
        (lambda about: about.update(crc32=[]), "damaged"),
        (lambda about: about["crc32"].update(weight=1), "weight fails its checksum"),
        (lambda about: about["crc32"].pop("weight"), "weight fails its checksum"),
        (lambda about: about.update(options=None), "damaged"),
        (lambda about: about.update(convention={"padding": "same"}), "Convention is damaged"),
        (
            lambda about: about.update(convention=dict.fromkeys(["padding", "eps", "momentum", "unbiased"])),
            "Convention",
        ),
        (lambda about: about.update(convention=[1, 2, 3, 4]), "damaged"),
        (lambda about: about.update(extra=1), "damaged"),
        (lambda about: about.clear(), "not mini_nn's"),
    ],
    ids=str,
)
def test_damaged_metadata_are_refused(tmp_path, edit, words):
    path = tmp_path / "net.npz"
    layer = Dense(3, 2)
    layer.weight.value, layer.bias.value = ARRAYS.values()
    weights.save(layer, path)
    with np.load(path) as file:
        arrays = dict(file)
    about = json.loads(arrays["mini_nn"].tobytes())
    edit(about)
    arrays["mini_nn"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    refused(weight_files.write_npz(path, arrays), words)


def test_metadata_that_are_no_text_are_refused(tmp_path):
    for about in np.ones(3), np.frombuffer(b"\xff\xfe", np.uint8), np.frombuffer(b"[" * 10**5, np.uint8):
        refused(weight_files.write_npz(tmp_path / "net.npz", {**ARRAYS, "mini_nn": about}))


# ---- HDF5


@pytest.fixture
def h5py():
    return pytest.importorskip("h5py", reason="h5py is not installed: pip install 'mini-nn[keras]'")


def test_links_out_of_an_h5_file_are_not_followed(tmp_path, h5py):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.ones(2)
    (tmp_path / "raw").write_bytes(bytes(16))

    def soft(file):
        file["conv1/kernel"] = h5py.SoftLink("/elsewhere")

    def external(file):
        file["conv1/kernel"] = h5py.ExternalLink("other.h5", "secret")

    def group(file):
        file["conv_dw_1"] = h5py.ExternalLink("other.h5", "/")

    def virtual(file):
        layout = h5py.VirtualLayout((2,), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (2,))
        file.create_virtual_dataset("conv1/kernel", layout)

    def raw(file):
        file.create_dataset("conv1/kernel", (2,), "f8", external=[(str(tmp_path / "raw"), 0, 16)])

    for write, words in [
        (soft, "conv1/kernel is a SoftLink"),
        (external, "conv1/kernel is a ExternalLink"),
        (group, "conv_dw_1 is a ExternalLink"),
        (virtual, "conv1/kernel takes its numbers from another file"),
        (raw, "conv1/kernel takes its numbers from another file"),
    ]:
        with h5py.File(tmp_path / "net.h5", "w") as file:
            write(file)
        refused(tmp_path / "net.h5", words)


def test_an_h5_file_of_other_things_is_refused(tmp_path, h5py):
    path = tmp_path / "net.h5"

    def loop(file):
        file["a/b/c"] = np.ones(2)
        file["a/b/d"] = file["a"]

    def bomb(file):
        file.create_dataset("conv_dw_1/kernel", (2**20, 2**8), "f4", chunks=(2**16, 2**8), compression="gzip")

    def unwritten(file):
        file.create_dataset("conv_dw_1/kernel", (2**30, 2**10), "f4")

    def text(file):
        file["conv_dw_1/kernel"] = "text"

    def empty(file):
        file["conv_dw_1/kernel"] = h5py.Empty("f4")

    def twice(file):
        file["a/conv_dw_1/kernel"] = file["b/conv_dw_1/kernel"] = np.ones(2)

    for write, words in [
        (loop, "the same group as another"),
        (bomb, "is compressed"),
        (text, "not numbers"),
        (empty, "not numbers"),
        (lambda _: None, "not those of one MobileNet"),
        (twice, "conv_dw_1/kernel twice"),
        (unwritten, "(conv_dw_1/kernel in the file) has the shape (1073741824, 1024); (3, 3, 8) is needed"),
    ]:
        with h5py.File(path, "w") as file:
            write(file)
        refused(path, words, model=models.build("mobilenet_v1", width_mult=0.05))
    sound = path.read_bytes()
    for size in 8, 100, len(sound) - 1:
        path.write_bytes(sound[:size])
        refused(path, "it is damaged: OSError")


# ---- random damage


def write(kind, path, layer):
    arrays = {n: item.value for n, item in core.named_arrays(layer)}
    if kind.startswith("own"):
        weights.save(layer, path)
    else:
        getattr(weight_files, f"write_{kind}")(path, arrays)


def damaged(data, rng):
    """The data with a few bits or bytes changed, or cut off."""
    data = bytearray(data)
    where, kind = int(rng.integers(len(data))), rng.integers(4)
    if kind == 0:
        del data[where:]
    elif kind == 1:
        data[where] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        data[where : where + 4] = rng.bytes(4)
    else:
        data[where : where + 4] = [b"\xff" * 4, b"\0" * 4, b""][rng.integers(3)]
    return bytes(data)


@pytest.mark.parametrize("kind", ["own.safetensors", "own.npz", "safetensors", "npz", "zip", "legacy"])
def test_random_damage_ends_in_a_value_error_or_the_right_values(tmp_path, kind):
    """Formats with checksums (all but foreign safetensors and legacy pickles) never give a wrong value."""
    rng = np.random.default_rng(0)
    layer, path = Sequential(norm=BatchNorm(3), dense=Dense(3, 2)), tmp_path / kind
    for _, item in core.named_arrays(layer):
        item.value = rng.uniform(0.5, 1, item.shape)
    write(kind, path, layer)
    sound, survived = path.read_bytes(), 0
    for _ in range(100):
        path.write_bytes(damaged(sound, rng))
        other = Sequential(norm=BatchNorm(3), dense=Dense(3, 2))
        try:
            weights.load(other, path)
        except ValueError as error:
            said = str(error)
        else:
            said = ""
        if said:
            assert said.startswith(str(path))
            assert not any(item.has_value for _, item in core.named_arrays(other))
            continue
        survived += 1
        if kind not in ("safetensors", "legacy"):
            for (n, a), (_, b) in zip(core.named_arrays(layer), core.named_arrays(other), strict=True):
                np.testing.assert_array_equal(a.value, b.value, err_msg=n)
    assert survived < 60

"""Checkpoint files of every format for the tests, written byte by byte: neither torch nor keras is needed."""

import json
import pickle
import struct
import zipfile

import numpy as np

STORAGE = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "uint16": "BFloat16"}
MAGIC = 0x1950A86A20F9469CFC6C


class Raw(bytes):
    """Opcodes to be written as they are."""


def name(module_and_name):
    """The opcode that asks for a global."""
    return Raw(b"c" + module_and_name.replace(" ", "\n").encode() + b"\n")


def call(function, *arguments):
    return Raw(name(function) + dump(arguments) + b"R")


def dump(value):
    """The opcodes for a value, in pickle's protocol 2."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, dict):
        items = b"".join(dump(key) + dump(item) for key, item in value.items())
        return b"}(" + items + b"u"
    if isinstance(value, list | tuple):
        items = b"(" + b"".join(map(dump, value))
        return b"]" + items + b"e" if isinstance(value, list) else items + b"t"
    return pickle.dumps(value, protocol=2)[2:-1]  # without PROTO and STOP


def pickled(value):
    return b"\x80\x02" + dump(value) + b"."


ORDERED = call("collections OrderedDict")


def storage(key, array, legacy, numel=None, kind=None):
    """A persistent id, as torch.save writes it."""
    kind = kind or f"torch {STORAGE[array.dtype.name]}Storage"
    pid = "storage", name(kind), str(key), "cpu", array.size if numel is None else numel
    return Raw(dump((*pid, None) if legacy else pid) + b"Q")


def tensor(key, array, legacy, size=None, stride=None, offset=0, numel=None, kind=None):
    """A call of torch's rebuilder, as torch.save writes it; the rest of the arguments is for lies."""
    stride = tuple(s // array.itemsize for s in array.strides) if stride is None else stride
    size = array.shape if size is None else size
    where = storage(key, array, legacy, numel, kind)
    return call("torch._utils _rebuild_tensor_v2", where, offset, size, stride, False, ORDERED)


def state(arrays, legacy=False, **lies):
    """An OrderedDict of tensors with a _metadata attribute, as a module's state_dict() is."""
    tensors = {key: tensor(i, a, legacy, **lies) for i, (key, a) in enumerate(arrays.items())}
    fill = dump(tensors)[1:]  # without the empty dict that begins it
    attributes = dump({"_metadata": call("collections OrderedDict")})
    return Raw(call("collections OrderedDict") + fill + attributes + b"b")


def write_zip(path, arrays, wrap=lambda s: s, prefix="archive/", order=b"little", **lies):
    """What torch.save has written since version 1.6."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{prefix}data.pkl", pickled(wrap(state(arrays, **lies))))
        archive.writestr(f"{prefix}byteorder", order)
        for i, array in enumerate(arrays.values()):
            archive.writestr(f"{prefix}data/{i}", array.tobytes())
        archive.writestr(f"{prefix}version", b"3\n")
    return path


def write_legacy(path, arrays, wrap=lambda s: s, little_endian=True, **lies):
    """What it wrote before."""
    info = {"protocol_version": 1001, "little_endian": little_endian, "type_sizes": {"int": 4}}
    with path.open("wb") as file:
        for value in (
            MAGIC,
            1001,
            info,
            wrap(state(arrays, legacy=True, **lies)),
            [str(i) for i in range(len(arrays))],
        ):
            file.write(pickled(value))
        for array in arrays.values():
            file.write(struct.pack("<q", array.size) + array.tobytes())
    return path


def write_safetensors(path, arrays, edit=lambda header: None, dtypes=None):
    """The format by hand, so that `edit` can make its header lie."""
    codes = {"float32": "F32", "float64": "F64", "float16": "F16", "int64": "I64", "uint16": "BF16"}
    header, at = {}, 0
    for key, array in arrays.items():
        code = (dtypes or {}).get(key, codes[array.dtype.name])
        header[key] = {"dtype": code, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    edited = edit(header)
    text = edited if isinstance(edited, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(a.tobytes() for a in arrays.values()))
    return path


def write_npz(path, arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def as_bfloat16(array):
    """The upper halves of float32 numbers, as uint16."""
    return (np.ascontiguousarray(array, "<f4").view(np.uint32) >> 16).astype(np.uint16)

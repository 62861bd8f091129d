"""Fashion-MNIST: 70,000 grey images of clothes, 28×28 pixels, ten classes."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from nets.config import Config
from nets.data._dataset import Dataset, Split, hold_out

# Where the Debian package dataset-fashion-mnist puts them.
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
FILES = {"train": "train", "test": "t10k"}


def load(config: Config) -> Dataset:
    """54,000 images for training, 6,000 for validation and 10,000 for test, scaled to −1 … 1.

    Raises:
        ValueError: the folder or one of its files is missing, or a file is damaged.

    Source: H. Xiao, K. Rasul and R. Vollgraf, arXiv:1708.07747 (2017).
    """
    folder = SYSTEM_FOLDER if config.data_path is None else Path(config.data_path)
    splits = {}
    for name, stem in FILES.items():
        images, labels = (
            _read(folder, f"{stem}-images-idx3-ubyte", 3),
            _read(folder, f"{stem}-labels-idx1-ubyte", 1),
        )
        splits[name] = Split((images / 127.5 - 1).astype(np.float32), labels.astype(np.int32))
    train, validation = hold_out(splits["train"], 0.1, seed=0)
    return Dataset(train, validation, splits["test"], classes=10, image=train.rows.shape[1:])


def _read(folder: Path, name: str, axes: int) -> np.ndarray:
    """An array of bytes in IDX format: two zeros, type 8, number of axes, sizes in 32 bits, then the
    bytes."""
    path = next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)
    if path is None:
        raise ValueError(
            f"`data_path` {folder} must hold {name}.gz; name the folder of the four files of Fashion-MNIST, "
            "or install the Debian "
            "package dataset-fashion-mnist."
        )
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"`data_path`: {path} is not a readable gzip file, or not a whole one ({error}); fetch it again."
        ) from None
    header = 4 + 4 * axes
    sizes = tuple(int(n) for n in np.frombuffer(content[4:header], ">u4"))
    if (
        content[:4] != bytes([0, 0, 8, axes])
        or len(sizes) != axes
        or len(content) != header + int(np.prod(sizes))
    ):
        raise ValueError(
            f"`data_path`: {path} is not an IDX file of bytes with {axes} axes, or not a whole one; fetch it "
            "again."
        )
    return np.frombuffer(content[header:], np.uint8).reshape(sizes)

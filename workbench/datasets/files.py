"""Finding the files of a data set, and saying what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["DatasetError", "find"]


class DatasetError(FileNotFoundError):
    """A data file is missing, or is not what its name promises."""


def find(folder: Path, source: str) -> Path:
    """Where a relative folder is: in the current directory, its parents, or beside the package.

    Raises
    ------
    DatasetError
        If it is in none of them; `source` is appended, which says where to get the data.
    """
    places = list(_places())
    for place in places:
        if (place / folder).is_dir():
            return place / folder
    looked = f"{places[0]}, its parents and {places[-1]}"
    raise DatasetError(f"no folder {folder} in {looked}.\n{source}")


def _places() -> Iterator[Path]:
    here = Path.cwd()
    yield from (here, *here.parents)
    yield Path(__file__).resolve().parents[2]

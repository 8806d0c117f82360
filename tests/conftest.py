"""What tests share: golden texts, and the option that writes them anew."""

from pathlib import Path

import pytest

from workbench.config import config

GOLDEN = Path(__file__).with_name("golden")


def pytest_addoption(parser):
    parser.addoption(
        "--refresh-golden", action="store_true", help="write the golden texts anew"
    )


@pytest.fixture
def golden(request):
    """Compare a text with ``golden/NAME.txt``, or write it there when asked to."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / f"{name}.txt"
        if request.config.getoption("--refresh-golden"):
            path.write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return check


@pytest.fixture(scope="session", autouse=True)
def cache_of_this_run(tmp_path_factory, worker_id):
    """Compiled modules go to a folder of the run, shared by its workers."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent
    with config.change(cache_dir=str(folder / "modules")):
        yield

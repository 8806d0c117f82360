"""Files with graphs, functions and arrays."""

import zipfile

import numpy as np
import pytest

import workbench as wb
import workbench.tensor as T


def test_a_saved_model_goes_on_where_it_was(tmp_path):
    x, w = T.dvector("x"), wb.shared(np.arange(3.0), "w")
    step = wb.function([x], (w * x).sum(), updates=[(w, w + x)])
    step(np.ones(3))
    wb.dump({"step": step, "w": w}, tmp_path / "model.zip")

    loaded = wb.load(tmp_path / "model.zip", trusted=True)

    assert loaded["step"](np.ones(3)) == 6
    assert loaded["w"].get_value().tolist() == [2, 3, 4]
    assert w.get_value().tolist() == [1, 2, 3]


def test_arrays_are_files_that_numpy_reads(tmp_path):
    values = np.arange(6.0).reshape(2, 3)
    wb.dump([wb.shared(values, "w")], tmp_path / "model.zip")

    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert archive.namelist() == ["array0.npy", "graph.pickle"]
        with archive.open("array0.npy") as file:
            np.testing.assert_array_equal(np.lib.format.read_array(file), values)


def test_a_constant_is_still_read_only(tmp_path):
    wb.dump(T.constant([1.0, 2.0]), tmp_path / "c.zip")

    loaded = wb.load(tmp_path / "c.zip", trusted=True)

    assert not loaded.data.flags.writeable


def test_a_file_is_not_loaded_without_trust(tmp_path):
    wb.dump([1], tmp_path / "model.zip")

    with pytest.raises(ValueError, match="trusted=True"):
        wb.load(tmp_path / "model.zip")

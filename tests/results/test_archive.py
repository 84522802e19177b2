"""One ZIP with everything."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from qpi_core.results.archive import estimate_zip
from qpi_core.results.files import estimate_files
from qpi_core.results.interchange.arrays import estimate_npz
from qpi_core.results.interchange.gwyddion import estimate_gwy
from qpi_core.results.interchange.tables import kernel_csv
from tests.results.test_files import make_estimate

OTHERS = {"uncertainty.png", "result.npz", "kernel.csv", "positions.csv", "result.gwy", "report.html", "reproduce.py"}


@pytest.mark.slow
def test_zip_holds_the_files_of_the_folder_and_the_other_forms_byte_by_byte():
    estimate = make_estimate(uncertainty=np.full((8, 8), 0.5, np.float32))
    expected = estimate_files(estimate)
    with zipfile.ZipFile(io.BytesIO(estimate_zip(estimate))) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == set(expected) | OTHERS
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}, "no clock in the file"
        expected |= {"result.gwy": estimate_gwy(estimate), "result.npz": estimate_npz(estimate), "kernel.csv": kernel_csv(estimate)}
        for name, content in expected.items():
            assert archive.read(name) == content, name

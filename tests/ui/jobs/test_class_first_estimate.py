"""Several classes: what little effort gives is there before the places are found, and a cancel keeps it."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.estimates.caution import CautionKind, kind_of
from qpi_core.maps.preparation import Preparation
from tests.ui.app_driver import POSITIONS, noiseless_map
from ui.extract.map.map_panel import MapView
from ui.jobs.extraction import Outcome, Question, extract_kernel
from ui.jobs.workers.queues import Cancelled, Job
from ui.state.loaders import PreparedLayer, array_hash

LABELS = ("A", "B", "A", "B", "A")


class CancelledAfterTheFirst(Job):
    """A job whose user presses Cancel as soon as there is a first estimate."""

    def step(self, fraction: float, message: str) -> None:
        if self.best is not None:
            self.cancel()
        super().step(fraction, message)


class CancelledAfterOneStep(Job):
    """A job whose user presses Cancel at once; its message says what came first."""

    def step(self, fraction: float, message: str) -> None:
        super().step(fraction, message)
        self.cancel()


def question(method: str = "harmonic", refine: bool = True) -> Question:
    values = noiseless_map()
    layer = PreparedLayer(values, array_hash(values))
    view = MapView(layer, "data", 0, None, Preparation(), None, None, "", "viridis", (0.0, 1.0))
    return Question("map.npy", "0" * 64, view, POSITIONS, method, 16, refine_positions=refine, labels=LABELS)


@pytest.mark.slow
def test_a_cancel_keeps_the_first_estimate_of_all_classes():
    kept = extract_kernel(CancelledAfterTheFirst("Circular harmonics"), question())
    assert isinstance(kept, Outcome) and list(kept.kinds) == ["A", "B"]
    assert all(CautionKind.NOT_CHECKED in map(kind_of, one.estimate.warnings) for one in kept.kinds.values())
    assert sum(len(one.estimate.positions) for one in kept.kinds.values()) == len(POSITIONS)
    np.testing.assert_array_equal(kept.kinds["A"].estimate.positions, POSITIONS[::2])


@pytest.mark.slow
@pytest.mark.parametrize(("method", "refine"), [("tikhonov", True), ("harmonic", False)])
def test_there_is_none_where_the_answer_itself_is_as_quick(method: str, refine: bool):
    job = CancelledAfterOneStep("Extraction")
    with pytest.raises(Cancelled):
        extract_kernel(job, question(method, refine))
    assert job.message not in ("", "First estimate") and job.best is None

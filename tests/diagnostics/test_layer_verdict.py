"""A layer of a stack is judged by the rules of a map."""

from __future__ import annotations

import numpy as np
import pytest

from qpi_core.diagnostics.verdict import Trust, layer_verdict
from qpi_core.estimates.caution import Caution, CautionKind
from qpi_core.estimates.stack_estimate import LayerKernel

NO_PATTERN = Caution("This layer shows no pattern that repeats.", CautionKind.NO_PATTERN)
MODELLED = Caution("Streaks were modelled.", CautionKind.MODELLED)
ONE = Caution("Only one defect is marked.", CautionKind.ONE_DEFECT)


def layer(warnings: tuple[str, ...], error: float = 0.01) -> LayerKernel:
    kernel = np.ones((5, 5), dtype=np.float32)
    return LayerKernel(kernel, error * kernel, 0.0, 0.1, warnings=warnings)


@pytest.mark.parametrize(
    ("warnings", "error", "trust", "reason"),
    [
        ((), 0.01, Trust.TRUST, "its error is 1 % of it"),
        ((MODELLED,), 0.01, Trust.TRUST, "at 7 defects"),
        ((MODELLED, ONE), 0.01, Trust.DOUBT, ONE),
        ((ONE, MODELLED, NO_PATTERN), 0.01, Trust.DO_NOT_USE, NO_PATTERN),
        ((MODELLED,), 0.5, Trust.DOUBT, "50 % of the kernel"),
        ((ONE,), 2.0, Trust.DO_NOT_USE, "as large as the kernel itself"),
        ((), float("nan"), Trust.TRUST, "is noise."),
    ],
)
def test_the_worst_reason_decides_and_nothing_is_lost(warnings, error, trust, reason):
    verdict = layer_verdict(layer(warnings, error), 7)
    assert verdict.trust is trust and reason in verdict.reason and verdict.remedy is None
    assert {*verdict.others, verdict.reason} >= set(warnings)

"""Whether a map is the kernels of its defects and nothing else, whatever the kernels look like.

A noise model is not looked for where kernels without any assumed form,

    minimise |Y - b - sum_c A_c*M_c|^2 + strength sum_c |A_c / envelope|^2,

solved without a fifth of the map (whole tiles), predict that fifth as well as numbers can: then there is neither noise nor background to
model. What the harmonic solver leaves of such a map is the share of the kernel that its orders and profiles cannot take, and a noise
model would take it. A background, streaks or a wrong list can be followed by free kernels, but not be predicted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qpi_core.solvers.harmonic.joint.start import DefectClass

NOTHING = 2e-4
"""Share of the map's variance, in tiles that no kernel has seen, below which nothing else is in a map. Measured, kernels without symmetry
on 96 x 120 px with 40 defects: 3e-8 without noise, 7e-4 to 1.6e-3 with a background of 3 % and 3e-3 and more with row offsets of 5 % of
the map's standard deviation; 6e-5 to 9e-5 for a band whose waves leave the window (150 x 200 px, 94 defects)."""
_WIDTHS = (0.12, 0.16, 0.2)
"""Widths of the envelope in units of the solved window's side, tried in turn."""
_STRENGTHS = (1e-6, 1e-5)
"""In units of the sum of squared weights: with no noise little is needed."""
_ITERATIONS = 150
_SIDE = 160
"""Larger maps are looked at on a part of this side."""


def predict_unseen_parts(values: NDArray[np.float32], classes: Sequence[DefectClass], kernel_size: int) -> bool:
    """Say whether free kernels, one a class, predict unseen tiles of a map up to NOTHING of its variance.

    Args:
        values: (height, width), NaN where not measured, not constant. Of a large map the part around the median defect is looked at.
        classes: the defects.
        kernel_size: side of the kernels in px.
    """
    import torch  # the harmonic solver does without it, and most maps need no test

    from qpi_core.operators.convolution import ForwardOperator
    from qpi_core.operators.joint import JointOperator
    from qpi_core.solvers.least_squares.regularised import gaussian_envelope, prepare_map, representative_part, solve_shifted, solved_window
    from qpi_core.solvers.refined.cross_validation import held_out_tiles

    prepared = prepare_map(values)
    window = solved_window(kernel_size, (values.shape[0], values.shape[1]))
    everywhere = np.concatenate([one.positions for one in classes])
    weights = np.concatenate([one.weights for one in classes])
    # The numbers of the defects in the place of their weights say which of them are in the part.
    part, points, numbers = representative_part(prepared, everywhere, np.arange(len(everywhere), dtype=np.float64), window, _SIDE)
    label, near = np.repeat(np.arange(len(classes)), [len(one.positions) for one in classes]), numbers.astype(int)
    members = [own for own in (label[near] == index for index in range(len(classes))) if own.any()]
    shape = (part.mask.shape[0], part.mask.shape[1])
    held, _ = held_out_tiles(part.mask)
    if not members or not held.any():
        return False
    with torch.inference_mode():
        operator = JointOperator([ForwardOperator(points[own], shape, window, weights[near][own]) for own in members])
        kept = torch.from_numpy(part.mask - held.astype(np.float32))
        measured = torch.from_numpy(part.values)
        strengths = torch.tensor(_STRENGTHS) * float((weights[near] ** 2).sum()) / len(members)
        limit = NOTHING * float(np.var(part.values[part.mask > 0], dtype=np.float64))
        for width in _WIDTHS:
            envelope = gaussian_envelope(window, width * window).repeat(len(members), 1)
            left = measured - operator(solve_shifted(operator, measured, kept, envelope, strengths, _ITERATIONS))
            left = left - (left * kept).sum(dim=(-2, -1), keepdim=True) / kept.sum()
            unseen = left.numpy()[:, held].astype(np.float64)
            if float((unseen**2).mean(axis=1).min()) < limit:
                return True
    return False

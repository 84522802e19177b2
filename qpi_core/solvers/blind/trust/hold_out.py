"""What a kernel predicts of a part of the map that it was not solved from: what was fitted to noise predicts nothing.

The map is cut into quarters. At the defects found, the kernel of every layer is solved from three of them,

    c = argmin |y_t - X_t^T c|^2 + |K^(-1/2) c|^2 / a,

with the prior that the whole map preferred, and predicts the fourth. What it leaves there is judged beyond the noise and beyond what the
kernel's own uncertainty lets expect, s^2 tr(S X X^T) / pixels, S = (X_t X_t^T + K^-1 / a)^-1: few defects and much noise are no fault.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from qpi_core.solvers.blind.finish import Finding

Array = NDArray[np.float64]

MOST_HELD_OUT = 0.06
"""Share of the variance that the prediction of a quarter may leave beyond what is expected."""
FEWEST_PIXELS = 64
"""A quarter with fewer measured pixels is not judged."""


def doubt_about_prediction(finding: Finding) -> str | None:
    """Return the doubt that the kernel does not hold in every part of the map; None where it does, or where no part can be judged."""
    share = held_out_share(finding)
    if not share > MOST_HELD_OUT:
        return None
    return (
        f"A kernel solved from three quarters of the map leaves {100 * share:.1f} % of the fourth's variance beyond what noise makes: "
        "it was fitted to noise, or the defects of that part are wrong."
    )


def held_out_share(finding: Finding) -> float:
    """Return what the predictions of the quarters leave beyond what is expected, as a share of the map's variance, mean over layers.

    The worst quarter counts; NaN where none has enough pixels.
    """
    step, fit = finding.step, finding.fit
    layers = step.layers
    design = step.design_at(finding.positions, finding.weights)
    data = layers.values.reshape(len(layers.values), -1)[:, layers.measured.ravel()].astype(np.float64)
    parts = [part for part in _quarters(layers.measured) if part.sum() >= FEWEST_PIXELS]
    grams = [design[:, part] @ design[:, part].T for part in parts]
    pulls = [design[:, part] @ data[:, part].T for part in parts]
    found = []
    for part, gram, pull in zip(parts, grams, pulls, strict=True):
        left = []
        for number, (root, precision) in enumerate(zip(fit.roots, fit.precisions, strict=True)):
            others = root.T @ (sum(grams) - gram) @ root + precision * np.eye(len(root))
            factor = cho_factor(others)
            coefficients = root @ cho_solve(factor, root.T @ (sum(pulls) - pull)[:, number])
            rest = data[number, part] - coefficients @ design[:, part]
            uncertain = fit.variances[number] * np.trace(cho_solve(factor, root.T @ gram @ root)) / part.sum()
            left.append(float(np.mean(rest**2)) - float(layers.noise[number]) - float(uncertain))
        found.append(float(np.mean(left)))
    return max(found, default=float("nan"))


def _quarters(measured: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Return which of the measured pixels lie in each quarter of the map."""
    rows, columns = np.nonzero(measured)
    height, width = measured.shape
    lower, right = rows >= height // 2, columns >= width // 2
    return [(lower == down) & (right == across) for down in (False, True) for across in (False, True)]

"""Does the superconducting gap change sign between the states that a region of q-space connects? A verdict from rho_-(E).

Two hypotheses, Delta_1 Delta_2 < 0 and > 0, and none at all, are compared by their evidence. The signal between two parts of the
Fermi surface, summed over all its wave vectors, is that of momentum-integrated Green's functions,

    t(E) = - Im [ g_1 T g_2 + g_2 T g_1 ]_11 (E) - the same at -E,   g_b = -(z tau_0 + Delta_b tau_1) / sqrt(Delta_b^2 - z^2)
    T = (1 - u tau_3 (w g_1 + (1 - w) g_2))^-1 u tau_3,   z = E + i broadening

for a defect of strength u that scatters within and between both; for u -> 0 it is Im (z^2 - Delta_1 Delta_2) / (sqrt(z^2 - Delta_1^2)
sqrt(z^2 - Delta_2^2)) of Hirschfeld, Altenfeld, Eremin and Mazin (Phys. Rev. B 92, 184513, 2015). The data are

    rho_-(E) = a t(E) + b E + c E^3 + error,   error ~ N(0, s^2 (deviation^2 + (TRUST max |rho_-|)^2)),

E and E^3 standing for what particle-hole asymmetry leaves of the normal state. Gaps, broadening, u and w run over a grid with equal
weights, a, b, c have normal priors of several widths, s^2 an inverse gamma prior of shape 1: all of these are integrated out in closed
form or summed. So neither gaps nor noise have to be known, and a stack in which nothing stands out stays undecided.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from qpi_core.qspace.phase.phase_resolved import AntisymmetrisedSignal

Array = NDArray[np.float64]

SIGN_CHANGING, SAME_SIGN, UNDECIDED = "sign-changing", "not sign-changing", "undecided"


@dataclass(frozen=True)
class GapSignRule:
    """Numbers that the verdict depends on.

    Attributes:
        sure: probability from which on a sign is told.
        least_gain: log evidence of a signal over none, below which nothing is told.
        gaps: number of gap magnitudes tried, from 1.5 energy steps to 0.9 of the largest energy.
        broadenings: in energy steps.
        strengths, shares: u and w.
        widths: prior deviations of the amplitudes, in deviations of the data.
        trust: error of the formula, as a share of the largest signal: against simulated superconductors it is 2 to 10 % of it.
    """

    sure: float = 0.95
    least_gain: float = 3.0
    gaps: int = 14
    broadenings: tuple[float, ...] = (0.4, 0.8, 1.6)
    strengths: tuple[float, ...] = (0.1, 0.3, 0.6, 1.0, 2.0, 4.0)
    shares: tuple[float, ...] = (0.3, 0.5, 0.7)
    widths: tuple[float, ...] = (1.0, 4.0, 16.0, 64.0)
    trust: float = 0.05


@dataclass(frozen=True, eq=False)
class GapSignVerdict:
    """What rho_-(E) says of the sign.

    Attributes:
        verdict: "sign-changing", "not sign-changing" or "undecided".
        probability: of a sign change, given that one of both hypotheses holds, each as likely beforehand.
        gain: log evidence of the better hypothesis over no signal.
        gaps_mev: (smaller, larger) |Delta| of the best template.
        fitted: (n,) the best template with its background at the signal's energies.
        reason: a plain sentence.
        caveats: plain sentences.
    """

    verdict: str
    probability: float
    gain: float
    gaps_mev: tuple[float, float]
    fitted: Array
    reason: str
    caveats: tuple[str, ...]


def interband_signal(
    energy_mev: Array, gaps_mev: tuple[float, float], broadening_mev: float, strength: float = 0.0, share: float = 0.5
) -> Array:
    """Return t(E) / u, (n,), for one pair of gaps with their signs; strength 0 is the Born limit."""
    values = np.zeros(len(energy_mev))
    for side in (1.0, -1.0):
        z = side * energy_mev + 1j * broadening_mev
        roots = [-1j * np.sqrt(z**2 - gap**2) * np.where(np.sqrt(z**2 - gap**2).imag > 0, 1, -1) for gap in gaps_mev]
        first, second = (
            -np.array([[z, np.full_like(z, gap)], [np.full_like(z, gap), z]]) / root for gap, root in zip(gaps_mev, roots, strict=True)
        )
        tau = np.diag([1.0, -1.0])
        scatter = np.asarray(np.broadcast_to(tau, (len(z), 2, 2)), dtype=np.complex128)
        if strength > 0:
            local = np.moveaxis(share * first + (1 - share) * second, -1, 0)
            scatter = np.asarray(np.linalg.solve(np.eye(2) - strength * tau @ local, scatter), dtype=np.complex128)
        total = np.einsum("in,nij,jn->n", first[0], scatter, second[:, 0]) + np.einsum("in,nij,jn->n", second[0], scatter, first[:, 0])
        values -= side * total.imag
    return values


def judge_gap_sign(signal: AntisymmetrisedSignal, rule: GapSignRule | None = None) -> GapSignVerdict:
    """Return whether the gap changes sign over the signal's region, with its probability; "undecided" where the data do not say.

    Args:
        signal: rho_-(E) with deviations, as phase_resolved_signal gives it.
        rule: other settings than the usual ones.
    """
    rule = rule or GapSignRule()
    largest = float(np.abs(signal.signal).max())
    if largest == 0:
        reason = "There is no signal at all in this region."
        return GapSignVerdict(UNDECIDED, 0.5, 0.0, (np.nan, np.nan), np.zeros_like(signal.signal), reason, signal.caveats)
    spread = signal.deviation if signal.known_deviation else np.full_like(signal.signal, rule.trust * largest)
    sigma = np.hypot(spread, rule.trust * largest)
    data = signal.signal / sigma
    smooth = np.stack([signal.energy_mev, signal.energy_mev**3], axis=1) / sigma[:, None]
    smooth /= np.sqrt(np.mean(smooth**2, axis=0))
    background = Linear.of(data, smooth[None])
    null = logsumexp([background.log_marginal(np.full(2, width))[0] for width in rule.widths]) - np.log(len(rule.widths))
    found = {sign: _evidence(signal.energy_mev, data, smooth, sigma, sign, rule) for sign in (-1.0, 1.0)}
    changing, same = found[-1.0][0], found[1.0][0]
    probability = float(1 / (1 + np.exp(np.clip(same - changing, -700, 700))))
    gain = max(changing, same) - null
    best = found[-1.0 if changing > same else 1.0]
    verdict = UNDECIDED
    if gain > rule.least_gain and max(probability, 1 - probability) > rule.sure:
        verdict = SIGN_CHANGING if probability > 0.5 else SAME_SIGN
    reason = _reason(verdict, probability, gain, rule)
    return GapSignVerdict(verdict, probability, float(gain), best[1], best[2] * sigma, reason, signal.caveats)


def _evidence(
    energy: Array, data: Array, smooth: Array, sigma: Array, sign: float, rule: GapSignRule
) -> tuple[float, tuple[float, float], Array]:
    """Return the log evidence of one hypothesis, and gaps and whitened fit of its best template."""
    tried, shapes = _templates(tuple(float(value) for value in energy), sign, rule)
    templates = shapes / sigma
    size = np.sqrt(np.mean(templates**2, axis=1))
    # Equal gaps of one sign give next to nothing: scaled up, that is rounding.
    kept = size > 1e-6 * size.max()
    columns = np.concatenate(
        [(templates[kept] / size[kept, None])[:, :, None], np.broadcast_to(smooth, (int(kept.sum()), *smooth.shape))], axis=2
    )
    models = Linear.of(data, columns)
    every = [models.log_marginal(np.array([own, other, other])) for own, other in product(rule.widths, rule.widths)]
    scores = logsumexp(every, axis=0)
    total = logsumexp(scores) - np.log(len(every) * len(scores))
    best = int(np.argmax(scores))
    gaps = tried[int(np.flatnonzero(kept)[best])]
    fitted = columns[best] @ np.linalg.lstsq(columns[best], data, rcond=None)[0]
    return float(total), (float(gaps[0]), float(abs(gaps[1]))), fitted


@lru_cache(maxsize=8)
def _templates(energies: tuple[float, ...], sign: float, rule: GapSignRule) -> tuple[list[tuple[float, float]], Array]:
    """Return the gaps of every template of one hypothesis, and the templates (m, n)."""
    energy = np.array(energies)
    step = float(np.median(np.diff(energy)))
    magnitudes = np.geomspace(1.5 * step, 0.9 * energy[-1], rule.gaps)
    pairs = [(float(small), float(sign * large)) for i, small in enumerate(magnitudes) for large in magnitudes[i:]]
    tried = list(product(pairs, rule.broadenings, rule.strengths, rule.shares))
    shapes = np.stack([interband_signal(energy, gaps, wide * step, u, w) for gaps, wide, u, w in tried])
    return [gaps for gaps, *_ in tried], shapes


@dataclass(frozen=True, eq=False)
class Linear:
    """Linear models of the same data: y = X amplitudes + error, X of shape (m, n, k).

    Attributes:
        gram: (m, k, k) X^T X.
        right: (m, k) X^T y.
        power: y^T y.
        count: n.
    """

    gram: Array
    right: Array
    power: float
    count: int

    @classmethod
    def of(cls, data: Array, columns: Array) -> Linear:
        """Return the models with columns (m, n, k) of data (n,)."""
        turned = columns.transpose(0, 2, 1)
        return cls(turned @ columns, turned @ data, float(data @ data), len(data))

    def log_marginal(self, widths: Array) -> Array:
        """Return log p(data), (m,), with amplitudes N(0, s^2 widths^2) and s^2 inverse gamma (1, 1), up to a constant.

        log p = -1/2 log det(1 + X V X^T) - (1 + n / 2) log(1 + y^T (1 + X V X^T)^-1 y / 2).
        """
        inner = self.gram * np.outer(widths, widths) + np.eye(len(widths))
        right = self.right * widths
        left = self.power - np.einsum("mk,mk->m", right, np.linalg.solve(inner, right[:, :, None])[:, :, 0])
        determinant = np.linalg.slogdet(inner)[1]
        return np.asarray(-0.5 * determinant - (1 + self.count / 2) * np.log1p(np.maximum(left, 0.0) / 2))


def _reason(verdict: str, probability: float, gain: float, rule: GapSignRule) -> str:
    if verdict != UNDECIDED:
        sure = probability if verdict == SIGN_CHANGING else 1 - probability
        what = "changes" if verdict == SIGN_CHANGING else "does not change"
        return f"The gap {what} sign over this region of q-space, with a probability of {sure:.3f}."
    if gain <= rule.least_gain:
        return "No signal of a gap stands out of the errors in this region, so the data do not say whether the gap changes sign."
    return f"The data do not decide: a sign change has a probability of {probability:.2f}."

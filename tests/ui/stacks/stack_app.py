"""A free-electron-like stack, and what drives the Stacks page with it."""

from __future__ import annotations

import io
import json

import numpy as np
from scipy.special import hankel1
from streamlit.testing.v1 import AppTest

from qpi_core.base.electron import HBAR2_OVER_2M_MEV_NM2
from qpi_core.synthesis.simulated_maps.scenes import superpose
from tests.ui.app_driver import wait_for_job

PITCH, SIZE, SHAPE = 0.3, 24, (34, 36)
ENERGIES = np.array([60.0, 105.0, 150.0, 195.0, 240.0])
POSITIONS = np.random.default_rng(3).uniform([0, 0], [SHAPE[1] - 1, SHAPE[0] - 1], (10, 2))


def layer(energy: float) -> np.ndarray:
    """A map of a free-electron-like state from -65 meV with 0.4 electron masses."""
    k = np.sqrt((energy + 65.0) * 0.4 / HBAR2_OVER_2M_MEV_NM2)

    def pattern(dx, dy):
        r = np.hypot(np.hypot(dx, dy), 0.15)
        return -np.imag(np.exp(-1.2j) * hankel1(0, k * r) ** 2) * np.exp(-r / 8.0)

    return superpose(pattern, POSITIONS, SHAPE, PITCH)


STACK = np.stack([layer(energy) for energy in ENERGIES])


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, didv=STACK, bias_mv=ENERGIES, pixel_size_nm=PITCH)
    return buffer.getvalue()


def chart(app: AppTest, name: str) -> dict:
    specs = [json.loads(one.proto.spec) for one in app.get("plotly_chart")]
    return next(spec for spec in specs if spec["layout"].get("uirevision") == name)


def compute(app: AppTest) -> AppTest:
    return wait_for_job(app.button(key="extract_stack").click().run(), "stack")

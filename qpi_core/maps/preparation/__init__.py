"""Preparing a layer before the kernel is extracted: recorded steps, each of which says what it removed and how positions move."""

from __future__ import annotations

from qpi_core.maps.preparation.bragg_peaks import LATTICES, find_bragg_peaks, refine_bragg_peak, regular_lattice
from qpi_core.maps.preparation.coordinates import CoordinateMap, inside
from qpi_core.maps.preparation.preparation import Preparation, Prepared, load_preparation
from qpi_core.maps.preparation.step import Layer, Step, StepResult
from qpi_core.maps.preparation.step_json import STEPS
from qpi_core.maps.preparation.steps.drift import CorrectDrift
from qpi_core.maps.preparation.steps.field import Crop, Resample
from qpi_core.maps.preparation.steps.level import Level
from qpi_core.maps.preparation.steps.mask import MaskDisc, MaskPolygon, MaskRectangle
from qpi_core.maps.preparation.steps.repair import RemoveStreaks, RepairOutliers
from qpi_core.maps.preparation.steps.set_point import NormaliseSetPoint
from qpi_core.maps.preparation.steps.shear import CorrectShear
from qpi_core.maps.preparation.steps.sweep import AverageSweeps, DeriveConductance

__all__ = [
    "LATTICES",
    "STEPS",
    "AverageSweeps",
    "CoordinateMap",
    "CorrectDrift",
    "CorrectShear",
    "Crop",
    "DeriveConductance",
    "Layer",
    "Level",
    "MaskDisc",
    "MaskPolygon",
    "MaskRectangle",
    "NormaliseSetPoint",
    "Preparation",
    "Prepared",
    "RemoveStreaks",
    "RepairOutliers",
    "Resample",
    "Step",
    "StepResult",
    "find_bragg_peaks",
    "inside",
    "load_preparation",
    "refine_bragg_peak",
    "regular_lattice",
]

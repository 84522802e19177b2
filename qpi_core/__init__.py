"""Scattering kernels from STM maps of quasiparticle interference.

The public names are loaded on first use, so that `import qpi_core` stays light: torch is imported only by what needs it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from qpi_core.base.version import __version__ as __version__

if TYPE_CHECKING:
    from qpi_core.base.errors import InputError as InputError
    from qpi_core.estimates.class_estimate import ClassEstimates as ClassEstimates
    from qpi_core.estimates.estimate import KernelEstimate as KernelEstimate
    from qpi_core.estimates.stack_estimate import StackEstimate as StackEstimate
    from qpi_core.extraction.bands.band_model import compare_band_models as compare_band_models
    from qpi_core.extraction.bands.band_model import fit_band_model as fit_band_model
    from qpi_core.extraction.defects.defect_detection import find_defects as find_defects
    from qpi_core.extraction.extractor import Extractor as Extractor
    from qpi_core.extraction.extractor import load_extractor as load_extractor
    from qpi_core.extraction.stability.assessment import Assessment as Assessment
    from qpi_core.extraction.stability.assessment import assess as assess
    from qpi_core.extraction.stability.assessment import assess_classes as assess_classes
    from qpi_core.extraction.stability.stack_stability import assess_stack as assess_stack
    from qpi_core.extraction.stacks.stack_extraction import extract_stack as extract_stack
    from qpi_core.maps import ScanMap as ScanMap
    from qpi_core.maps import load_map as load_map
    from qpi_core.maps import load_positions as load_positions
    from qpi_core.maps import load_stack as load_stack
    from qpi_core.maps import snap_to_extremum as snap_to_extremum
    from qpi_core.maps.preparation import Preparation as Preparation
    from qpi_core.maps.preparation import load_preparation as load_preparation
    from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters as KernelParameters
    from qpi_core.synthesis.kernel_families.equation_7 import phenomenological_kernel as phenomenological_kernel
    from qpi_core.synthesis.simulated_maps.scenes import simulate_observation as simulate_observation

_HOME_OF_NAME = {
    "Assessment": "qpi_core.extraction.stability.assessment",
    "assess": "qpi_core.extraction.stability.assessment",
    "assess_classes": "qpi_core.extraction.stability.assessment",
    "assess_stack": "qpi_core.extraction.stability.stack_stability",
    "ClassEstimates": "qpi_core.estimates.class_estimate",
    "InputError": "qpi_core.base.errors",
    "KernelEstimate": "qpi_core.estimates.estimate",
    "Extractor": "qpi_core.extraction.extractor",
    "load_extractor": "qpi_core.extraction.extractor",
    "ScanMap": "qpi_core.maps",
    "find_defects": "qpi_core.extraction.defects.defect_detection",
    "load_map": "qpi_core.maps",
    "load_positions": "qpi_core.maps",
    "load_stack": "qpi_core.maps",
    "snap_to_extremum": "qpi_core.maps",
    "Preparation": "qpi_core.maps.preparation",
    "load_preparation": "qpi_core.maps.preparation",
    "StackEstimate": "qpi_core.estimates.stack_estimate",
    "extract_stack": "qpi_core.extraction.stacks.stack_extraction",
    "compare_band_models": "qpi_core.extraction.bands.band_model",
    "fit_band_model": "qpi_core.extraction.bands.band_model",
    "KernelParameters": "qpi_core.synthesis.kernel_families.equation_7",
    "phenomenological_kernel": "qpi_core.synthesis.kernel_families.equation_7",
    "simulate_observation": "qpi_core.synthesis.simulated_maps.scenes",
}

__all__ = [
    "Assessment",
    "ClassEstimates",
    "Extractor",
    "InputError",
    "KernelEstimate",
    "KernelParameters",
    "Preparation",
    "ScanMap",
    "StackEstimate",
    "assess",
    "assess_classes",
    "assess_stack",
    "compare_band_models",
    "extract_stack",
    "find_defects",
    "fit_band_model",
    "load_extractor",
    "load_map",
    "load_positions",
    "load_preparation",
    "load_stack",
    "phenomenological_kernel",
    "simulate_observation",
    "snap_to_extremum",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF_NAME.get(name)
    if home is None:
        raise AttributeError(f"module 'qpi_core' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

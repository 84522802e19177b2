"""Which controls of the Extract page a session remembers, and what is accepted from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qpi_core.diagnostics.window import LARGEST_WINDOW, LEAST_WINDOW
from qpi_core.extraction.methods import METHODS
from qpi_core.qspace.surface_lattice import LATTICE_CONSTANT_RANGE_NM
from ui.charts.colours import COLOUR_MAPS
from ui.charts.kernels import UNCERTAINTY_MANNERS
from ui.qspace import texts as qspace_texts
from ui.state.loaders import LoadedMap

Check = Callable[[Any], bool]


def controls_of(state: Mapping[Any, Any], loaded: LoadedMap | None) -> dict[str, Any]:
    """Return the values of the remembered controls, as strict JSON; the map's own controls have names without its hash."""
    found = {}
    for name, (key, check) in remembered_controls(loaded).items():
        value = state.get(key)
        value = list(value) if isinstance(value, tuple) else value
        if value is not None and check(value):
            found[name] = value
    return found


def usable_controls(saved: Any, loaded: LoadedMap | None) -> dict[str, Any]:
    """Return key -> value for the controls that a file names; what does not fit the map or the controls is left out."""
    if not isinstance(saved, Mapping):
        return {}
    chosen = {}
    for name, (key, check) in remembered_controls(loaded).items():
        if name in saved and check(saved[name]):
            chosen[key] = tuple(saved[name]) if isinstance(saved[name], list) else saved[name]
    return chosen


def remembered_controls(loaded: LoadedMap | None) -> dict[str, tuple[str, Check]]:
    """Return name -> (key of the widget, test of a value)."""
    controls: dict[str, tuple[str, Check]] = {
        "colours": ("colours", _one_of(COLOUR_MAPS)),
        "limits": ("limits", _is_range),
        "kernel_limits": ("kernel_limits", _is_range),
        "method": ("method", _one_of(METHODS)),
        "kernel_size": ("kernel_size", lambda value: _is_count(value) and LEAST_WINDOW <= value <= LARGEST_WINDOW),
        "kernel_auto": ("kernel_auto", lambda value: isinstance(value, bool)),
        "stack_method": ("stack_method", _one_of(METHODS)),
        "stack_kernel_size": ("stack_kernel_size", lambda value: _is_count(value) and LEAST_WINDOW <= value <= LARGEST_WINDOW),
        "stack_kernel_auto": ("stack_kernel_auto", lambda value: isinstance(value, bool)),
        "uncertainty_manner": ("uncertainty_manner", _one_of(UNCERTAINTY_MANNERS)),
        "fft_log": ("fft_log", lambda value: isinstance(value, bool)),
        "fft_padded": ("fft_padded", lambda value: isinstance(value, bool)),
        "defect_units": ("defect_units", _one_of(("nm", "px"))),
        **qspace_controls(),
    }
    if loaded is not None:
        short, scan = loaded.sha256[:12], loaded.scan
        layers = max(len(scan.stack(name)) for name in scan.channels)
        controls["channel"] = (f"channel_{short}", _one_of(scan.channels))
        controls["beside"] = (f"beside_{short}", _one_of(scan.channels))
        controls["layer"] = (f"energy_{short}_{layers}", lambda value: _is_count(value) and value < layers)
        controls["stack_range"] = (f"stack_range_{short}_{layers}", lambda value: _is_span(value, layers))
        controls["map_width_nm"] = (f"width_{short}", lambda value: _is_number(value) and 1e-3 <= value <= 1e6)
    return controls


def qspace_controls() -> dict[str, tuple[str, Check]]:
    """Return those of the q-space view; each has its name as its key."""
    checks: dict[str, Check] = {
        "q_window": _one_of(qspace_texts.WINDOW_TITLES),
        "q_padding": _one_of_numbers(qspace_texts.PADDING_TITLES),
        "q_zoom": _one_of_numbers(qspace_texts.ZOOM_TITLES),
        "q_unit": _one_of(qspace_texts.UNIT_TITLES),
        "q_log": lambda value: isinstance(value, bool),
        "q_beside": _one_of(qspace_texts.BESIDE_TITLES),
        "q_lattice_kind": _one_of(qspace_texts.LATTICE_TITLES),
        "q_lattice_a": _within(*LATTICE_CONSTANT_RANGE_NM),
        "q_lattice_b": _within(*LATTICE_CONSTANT_RANGE_NM),
        "q_lattice_angle": _within(5, 175),
        "q_lattice_orientation": _within(-180, 180),
        "q_symmetry": _one_of_numbers(qspace_texts.ROTATION_TITLES),
        "q_mirror": _one_of(qspace_texts.MIRROR_TITLES),
        "q_mirror_angle": _within(-180, 180),
        "q_profile": _one_of(qspace_texts.PROFILE_TITLES),
        "q_cut_angle": _within(-180, 180),
        "q_cut_width": _one_of_numbers(qspace_texts.CUT_WIDTHS),
        "q_ring": lambda value: isinstance(value, list) and len(value) == 2 and all(_within(0, 1e6)(end) for end in value),
    }
    return {name: (name, check) for name, check in checks.items()}


def _one_of_numbers(options: Any) -> Check:
    return lambda value: _is_count(value) and value in options


def _within(low: float, high: float) -> Check:
    return lambda value: _is_number(value) and low <= value <= high


def _one_of(options: Any) -> Check:
    return lambda value: isinstance(value, str) and value in options


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_span(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_count(end) for end in value) and value[0] <= value[1] < count


def _is_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(_is_number(end) for end in value) and 0 <= value[0] <= value[1] <= 100

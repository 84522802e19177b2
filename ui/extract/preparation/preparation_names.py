"""What the steps of the preparation are called, and what they do, in words."""

from __future__ import annotations

from typing import Any

TITLES = {
    "level": "Levelling",
    "remove_streaks": "Remove streaks",
    "repair_outliers": "Repair outliers",
    "crop": "Crop",
    "resample": "Resample",
    "correct_shear": "Correct shear (Bragg peaks)",
    "correct_drift": "Correct drift (Lawler-Fujita)",
    "mask_rectangle": "Leave out a rectangle",
    "mask_disc": "Leave out a disc",
    "mask_polygon": "Leave out a polygon",
    "average_sweeps": "Average there and back",
    "derive_conductance": "dI/dV from the current",
    "normalise_set_point": "Divide by the current",
}
ABOUT = {
    "level": "Takes out tilt, bow, or offsets between the scan lines.",
    "remove_streaks": "Repairs bright or dark runs along a scan line, such as the tip leaves when it picks something up.",
    "repair_outliers": "Repairs single pixels that jump. Sharp defects are outliers too: look at what was removed.",
    "crop": "Keeps a rectangle. Defects outside of it are set aside, and an undo brings them back.",
    "resample": "Makes square pixels of another size. Coarser ones are averages, finer ones add no information.",
    "correct_shear": "Maps two measured Bragg peaks onto a regular lattice: shear, steady drift, wrong calibration.",
    "correct_drift": "Undoes slow distortions that the atomic lattice shows (Lawler et al. 2010). Correct a shear first.",
    "mask_rectangle": "Pixels in it take no part in the solve.",
    "mask_disc": "Pixels in it take no part in the solve.",
    "mask_polygon": "Pixels in it take no part in the solve.",
    "average_sweeps": "The mean of the forward and the backward channel of this signal. Comes before all other steps.",
    "derive_conductance": "The slope of a smooth curve through neighbouring energies of I (Savitzky-Golay). Comes before all other steps.",
    "normalise_set_point": "Against the set-point effect. Near zero bias it fails, and I has a pattern of its own (arXiv 1606.07402).",
}
LEVELLINGS = {
    "plane": "Plane",
    "polynomial": "Polynomial",
    "lines": "Lines: median",
    "line_means": "Lines: mean",
    "lines_linear": "Lines: slope",
    "line_differences": "Lines: steps",
}


def describe_step(step: dict[str, Any]) -> str:
    """Return a step in a few words: its title and the parameters that tell it from another of its kind."""
    name = step["step"]
    parameters = {key: value for key, value in step.items() if key != "step"}
    if name == "level":
        order = f", order {parameters['order']}" if "order" in parameters else ""
        return f"{TITLES[name]}: {LEVELLINGS[parameters['kind']].lower()}{order}"
    if name == "crop":
        return f"Crop: {parameters['width']} × {parameters['height']} px from x = {parameters['left']}, y = {parameters['top']}"
    if name == "resample":
        size = parameters.get("pixel_size_nm")
        return f"Resample: {f'{size:.4g} nm' if size else 'square pixels'}"
    if name == "mask_polygon":
        title = "Keep a polygon" if parameters.get("keep") else TITLES[name]
        return f"{title}: {len(parameters['corners'])} corners"
    short = [f"{key.replace('_', ' ')} {value:.4g}" for key, value in parameters.items() if type(value) in (int, float)]
    return TITLES[name] + (f": {', '.join(short)}" if short else "")

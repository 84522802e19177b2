"""Sentences of the Synthesize page: what each control means, and what a simulated scene is."""

from __future__ import annotations

import math

from qpi_core.synthesis.bands.band_families import BandControls, lattice_constant_nm
from qpi_core.synthesis.kernel_families.equation_7 import KernelParameters
from qpi_core.synthesis.kernel_families.families import FAMILIES, SyntheticKernel
from qpi_core.synthesis.simulated_maps.synthetic_scene import SyntheticScene

FAMILY = "What kind of pattern a defect makes. The formula and its source stand beside the map."
KERNEL_SEED = "Names the kernel that was drawn last. The sliders may have been moved since."
KERNEL_SEED_ONLY = "Names the kernel: everything about it is drawn with this seed."
DRAW = "Takes the next seed and draws a kernel of this family from its usual ranges."
EQUATION_7 = {
    "order": "Rotational symmetry n = 2A of sin²(Aθ + φ₁); 0 is isotropic.",
    "orientation": "φ₁, rad: turns the pattern. Without effect for n = 0, where it is fixed to π/2.",
    "wavenumber": "B, rad/nm, in sin²(Br + φ₂). The ring of the FFT lies at q = 2B.",
    "phase": "φ₂, rad: phase of the rings at r = 0.",
    "decay": "c, nm⁻², in exp(-c r²). Large: the pattern dies out quickly.",
}
_HOPPING = "t'/t: hopping to the next-nearest over that to the nearest site. It bends the contour."
BANDS = {
    "wave_vector": "2k along the angle, rad/nm (2π included): the diameter of the contour, where the FFT has its line.",
    "zone_fraction": "k over the distance to the zone's boundary. Small: a circle; large: the contour follows the zone. "
    "It sets the lattice constant.",
    "no_zone": "This band structure is a continuum: it has no zone boundary.",
    **dict.fromkeys(("shape_square", "shape_triangular", "shape_honeycomb", "shape_dirac"), _HOPPING),
    "shape_warped": "w k²/v: 0 is a circle, about 1 a hexagon, more a snowflake.",
    "shape_elliptic": "Ratio of the masses along and across the angle: 1 is a circle.",
    "shape_several": "k of the second band over that of the first.",
    "mean_free_path": "ℓ, nm: the pattern falls to 1/e over this length where the electrons are fastest.",
    "strength": "Potential times |G₀(0)|, no unit: 0.1 is weak, 5 nearly a hard wall, negative attracts.",
    "tip": "w, nm: width of tip and orbital together. Wide: fine detail is lost.",
    "angle": "α, rad: turns the lattice, the ellipse or the snowflake.",
    "no_angle": "Both contours are circles: there is nothing to turn.",
}
SCENE = {
    "count": "Number of defects N, at distinct random pixels.",
    "noise": "Gaussian noise σ relative to the standard deviation of the noiseless map.",
    "seed": "Names the random positions and the random noise: the same seed gives the same map.",
    "off_grid": "Defects anywhere instead of on pixel centres.",
}
SEND = "Makes this map with its defects the map of the Extract page, where everything else can be tried on it."
ZIP = "Map, true kernel, positions, every parameter (JSON) and the Python lines that make the same map."


def kernel_line(kernel: SyntheticKernel) -> str:
    """Return one line about a kernel: its symmetry and its numbers."""
    given = kernel.parameters
    if isinstance(given, KernelParameters):
        return f"n = {given.symmetry_order}, B = {given.wavenumber:.3g} rad/nm, c = {given.decay:.3g} nm⁻²"
    if isinstance(given, BandControls):
        return f"{FAMILIES[kernel.family].title}, {_symmetry(kernel)}, 2k = {given.wave_vector:.3g} rad/nm"
    return f"{FAMILIES[kernel.family].title}, kernel seed {given}, {_symmetry(kernel)}"


def scene_text(scene: SyntheticScene) -> str:
    """Return what a scene is, in Markdown."""
    recipe = scene.recipe
    noise = f"noise σ = {scene.noise_sigma:.3g}" if scene.noise_sigma else "no noise"
    return (
        f"64 × 64 px, 10 × 10 nm, {recipe.count} {'defect' if recipe.count == 1 else 'defects'}, {noise}.\n\n"
        f"{_about(recipe.kernel)}\n\n"
        "The map is the exact sum of the kernel over all defects, tails included, plus the noise"
        f"{' and what makes it look measured. ' + _about_list(scene) if recipe.nuisances else '.'}"
    )


def _about_list(scene: SyntheticScene) -> str:
    """Return what the list of defects does not say, and which kernel is the true one."""
    unlisted = scene.recipe.count - len(scene.positions)
    listed = "" if not unlisted else f"The list leaves out {unlisted} of a second kind. "
    return f"{listed}The kernel above is that of a defect of mean strength."


def family_text(kernel: SyntheticKernel) -> str:
    """Return the meaning and the source of a family's formula."""
    family = FAMILIES[kernel.family]
    return f"{family.meaning} {family.source}"


def _about(kernel: SyntheticKernel) -> str:
    given, traits = kernel.parameters, kernel.traits()
    if isinstance(given, KernelParameters):
        length = f" = {math.pi / given.wavenumber:.3g} nm"
        return f"sin²(Br) repeats every π/B{length}, so the ring of the FFT lies at 2B = {2 * given.wavenumber:.3g} rad/nm."
    if isinstance(given, BandControls):
        constant = lattice_constant_nm(given)
        lattice = "" if math.isnan(constant) else f" Lattice constant a = {constant:.3g} nm."
        return f"{_symmetry(kernel).capitalize()}. Along the angle the FFT has its line at 2k = {given.wave_vector:.3g} rad/nm.{lattice}"
    wave = traits["wave_vector_rad_per_nm"]
    first = "" if math.isnan(wave) else f", first wave vector q = {wave:.3g} rad/nm"
    return f"Drawn: {_symmetry(kernel)}{first}, decay c = {traits['decay_per_nm2']:.2g} nm⁻²."


def _symmetry(kernel: SyntheticKernel) -> str:
    order = kernel.symmetry_order
    return "no symmetry" if order is None else "isotropic" if order == 0 else f"{order}-fold"

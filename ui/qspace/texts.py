"""Sentences of the q-space view: what each control means. Kept apart from the code that shows them."""

BESIDE = (
    "The picture beside |FFT| of the kernel. Whole map: |FFT| of all of it, divided by √N, on the same axes and colours. Real part and "
    "phase: of the kernel's FFT with its origin at the defect; 0 or π everywhere means that the kernel is even about it. Removed: what "
    "symmetrising took."
)
BESIDE_TITLES = {"map": "Whole map", "real": "Real part", "phase": "Phase", "removed": "Removed"}
WINDOW = (
    "Multiplied in before the transform. Hann: least leakage from the edge, widest peaks. Tukey: half of it tapered. "
    "Of the kernel it takes part of the power away; the map's power is corrected for it."
)
WINDOW_TITLES = {"none": "None", "hann": "Hann", "tukey": "Tukey"}
PADDING_TITLES = {1: "1×", 2: "2×", 4: "4×"}
PADDING = "Zeros around the kernel before the transform, in kernel sides: a finer q grid to look at, no more information."
LOG = "log10 of the magnitudes, over three decades. Else the colours follow their square root, so that weak rings show."
ZOOM_TITLES = {0: "Auto", 1: "1×", 2: "2×", 4: "4×", 8: "8×", 16: "16×"}
ZOOM = (
    "Where the axes begin: 4× shows a quarter of the wave vectors, Auto those that hold 99.9 % of the kernel's power. Ctrl + wheel and "
    "drag work in the pictures too."
)
UNIT_TITLES = {"rad/nm": "rad/nm", "1/Å": "1/Å"}
UNIT = "Wave vectors with 2π included: |G| = 2π/a for a square lattice. 1/Å is 10 rad/nm."
NEEDS_LENGTH = "The pixel size is not known; enter the width of the map and extract again."
LATTICE = "Draws the Bragg peaks (circles) and the first Brillouin zone (polygon) of a surface lattice over the pictures."
LATTICE_KIND = "Hexagonal: the triangular lattice, also that of graphene and of (111) surfaces. Oblique: any a, b and angle."
LATTICE_TITLES = {
    "none": "None",
    "square": "Square",
    "rectangular": "Rectangular",
    "hexagonal": "Triangular / hexagonal",
    "oblique": "Oblique",
}
LATTICE_A = "Length of the first lattice vector a, nm."
LATTICE_B = "Length of the second lattice vector b, nm."
LATTICE_ANGLE = "Angle γ from a to b, degrees, clockwise as the map is shown."
LATTICE_ORIENTATION = "Direction of a on the map, degrees from +x (right) towards +y (down)."
SYMMETRISE = "Averages the kernel over rotations and a mirror about its centre. Off at first: it makes the symmetry that it assumes."
ROTATION_TITLES = {1: "None", 2: "2-fold", 3: "3-fold", 4: "4-fold", 6: "6-fold"}
SYMMETRY_ORDER = "n-fold: the mean over n rotations about the centre pixel. The map's |FFT| is averaged in the same way, as a power."
MIRROR = "Found: the axis about which the kernel is most nearly even. Given: you say where it is."
MIRROR_TITLES = {"none": "No mirror", "found": "Found", "given": "Given"}
MIRROR_ANGLE = "Direction of the mirror axis, degrees from +x (right) towards +y (down)."
PROFILE = "Rings: root mean square over circles about q = 0. Cut: along a line through q = 0. Of what the picture on its left shows."
PROFILE_TITLES = {"ring": "Rings", "cut": "Cut"}
CUT_WIDTHS = (1, 2, 4, 8, 16)
"""Lines across a cut, one step of the kernel's q grid apart; 1 is a single line."""
CUT_ANGLE = "Direction of the cut, degrees from +q_x (right) towards +q_y (down)."
CUT_WIDTH = "Full width of the strip that is averaged across the cut."
RING = "The ring of q over which signal and noise are compared, with the kernel as it was extracted, not symmetrised."
RING_KERNEL = (
    "√(S/D): S, the kernel's power on the ring without noise; D, its noise, from kernels of two halves of the defects. "
    "What the method assumes is in both halves and does not show."
)
RING_MAP = "√((M − B)/B): M, the map's power on the ring; B, that of white noise with the estimated σ. As it is, one q pixel for itself."
RING_ONE = "√(S/(K σ²)): what one defect, cropped alone into the kernel's window of K pixels, would show."
RING_LAW = "√N times one defect: the mean of N crops that do not overlap. What a method assumes brings more, overlap and edges cost."
RING_MEASURE = "Extracts again from two halves of the defects, two times: about four times as long as the extraction."
RING_WHITE = (
    ":orange[:material/warning:] Noise is here the white noise alone: the background and the streaks that were modelled beside it count as "
    "signal of the whole map, and are missing in the noise of one defect."
)
RING_FEW = "The kernel's noise is measured on two halves of the defects; mark at least {least} and press Extract."

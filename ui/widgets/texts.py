"""Sentences of the pages: what each control means. Kept apart from the code that shows them."""

MAP_FILE = (
    "npy, npz, csv, txt, png, tif, mat, HDF5, Nanonis sxm and 3ds, Createc dat, Gwyddion gwy and gsf, Igor ibw, RHK sm4, Nanosurf nid, "
    "Gxsm nc, Aarhus mul, WSxM stp and gsi, lists of points x, y, z; of Omicron "
    "Matrix, a ZIP of the images and their result file (_0001.mtrx). The content is checked, whatever the name says; nothing leaves this "
    "computer. A saved session opens here too."
)
SAVE_SESSION = (
    "Map, defects, settings and result in one file. Drop it where maps are loaded to go on with the work, "
    "in any browser or on another computer."
)
AUTOSAVE = (
    "Map, marks, settings and result come back after a reload of this page or a return to it. They are kept for a week in a folder of the "
    "computer that runs the app, up to 128 MB for each tab, and so are the last maps under *Recent maps*; off deletes them all."
)
RECENT = "The last eight maps that this browser opened within a week, as long as *Keep for a reload* is on."
PICKER = (
    "**Mouse**: click adds a defect or removes the one under it; drag moves a defect, or the map where there is none; Ctrl and wheel "
    "zoom at the cursor, and the wheel alone after a press into the map; Shift and drag removes all in a box; right-click removes.\n\n"
    "**Keys**, after a click on the map or Tab: arrows move a cross (Shift: 10 px, Alt: 0.1 px), Enter adds or removes there, "
    "Delete removes the nearest. N and P hold the next and the previous defect: arrows then move it, Delete removes it, Enter lets it go. "
    "Ctrl+Z undoes, Ctrl+Shift+Z redoes, + and - zoom, 0 shows all.\n\n"
    "x to the right, y downwards, 0 at the centre of the first pixel."
)
CHANNEL = "Which measured quantity to use. The dI/dV channel is chosen where the file has one."
BESIDE = (
    "Another channel of the file next to the map, the height beside dI/dV for example: one zoom for both, and the pointer on one is a "
    "cross on the other. Its values are those of the file; steps that move pixels (crop, resampling, drift) are followed."
)
ENERGY = "Bias V of the layer, mV. The kernel belongs to this energy."
COLOURS = "Colour map of the picture. The last two are diverging: white is 0, for signed maps."
LIMITS = "Percentiles of the measured values at the two ends of the colour map. Only the picture changes, never the data."
MAP_WIDTH = "Width of the field of view, nm. The file does not say it; without it all axes are in pixels."
TABLE = "Positions of the defects; 0 is the centre of the first pixel, x to the right, y downwards. Add, change or delete rows."
UNITS = "Units of the table."
POSITION_FILE = "CSV or TXT with the header x_nm,y_nm or x_px,y_px; or NPY or JSON. You see how it was read before it is used."
USE_LIST = "Puts this list in place of the marks; Undo above the map brings yours back."
ACCEPT = "Makes marks of the squares."
ADD_PROPOSAL = "Makes marks of those squares that lie on no mark yet; yours stay. Undo takes them back."
REPLACE_MARKS = "Takes your marks away and puts the squares in their place; Undo above the map brings yours back."
DISCARD = "Takes the squares away; the marks stay as they are."
SENSITIVITY = (
    "Low: only the clearest defects. High: weak ones too, and more false ones. A proposal; the map stays as it is until you accept."
)
PROPOSE = "Looks for defects and shows them as squares in the map; your marks stay until you accept."
LOOK_FOR = (
    "What repeats: the same pattern at every defect, whatever it looks like (up to a minute; spots where nothing repeats). "
    "Spots: what stands out of the background. Like the kernel: what resembles the extracted kernel, such as defects missing in the list."
)
FIND_STACK_DEFECTS = (
    "Looks for one pattern an energy that repeats itself at the same places (up to a minute). What is found become marks on the Extract "
    "page, and the kernels of all energies are solved at once."
)
SNAP = "Moves each mark to the strongest maximum or minimum within 3 px, for defects that look like spots. Undo brings your marks back."
USE_WINDOW = "Takes this window; press Extract again. Every kernel says how far out its pattern is seen, on the map that it came from."
KERNEL_SIZE = (
    "Side of the kernel window, pixels: large enough that the pattern has died out at its edge, at most the shorter side of the map. "
    "The dashed frame in the map has this size. A value set here switches Auto off."
)
KERNEL_AUTO = (
    "The window ends where the pattern's amplitude falls under its uncertainty: the map is solved once more to find out. "
    "The frame in the map shows what came of it."
)
EXTRACT_NEEDS_DEFECTS = "Mark at least one defect first: click on the map, or load a list."
REFINE_POSITIONS = (
    "Clicks are a pixel off: before the kernel is computed, each defect moves to where the map fits best. "
    "On at first for defects marked in the picture, off for lists. Your marks stay as they are; the result says what moved."
)
STACK_REFINE = (
    "Before the kernels are computed, a few layers together move each defect to where they fit best: one list serves all energies. On at "
    "first for defects marked in the picture, off for lists. Your marks stay as they are; the result says what moved."
)
CLASS_COLUMN = "Kind of the defect: every class gets a kernel of its own, all solved together. Any short name will do."
CLASS_OF_DEFECTS = (
    "Whose kernel is shown below. All kernels were solved together; map, reconstruction, residual and noise are those of all classes. "
    "Everything (ZIP) holds the kernels of all classes."
)
TAKE_OVER = "Puts the moved positions in place of the marks; Undo above the map brings yours back."
ADOPT_LIST = "Adopt the corrected list and extract again"
FIND_BLIND = (
    "No marks needed: looks for defects and their kernel in the map alone, for up to a minute, and says whether the answer is "
    "to be trusted. Cancel keeps the best so far. Your marks stay until you say what is to become of them."
)
BLIND_KINDS = (
    "Defects of another kind leave another pattern. With 2 or 3, every kind gets marks and a kernel of its own, the strongest is A; "
    "of a map that does not show so many, that is said."
)
ALTERNATIVES = (
    "Kernels and lists that the search came to as well. Evidence: natural logarithm, beside that of the kernel above; "
    "a difference of 5 is decisive. Leaves: share of the map's variance that is neither noise nor this kernel, "
    "which is of the search and simpler than the kernel above."
)
MEASURE = "Under the map: the magnitude of its Fourier transform, and the distance and the profile between two marks."
FILE_HEADER = "What the instrument wrote beside the data: set point, speed, date and all else, as text."
HEADER_SEARCH = "Shows the entries whose name or value holds this text, in capitals or not."
SPECTRA = "The channel over energy at the two marks, as it was measured, before any preparation."
RULER = "Number of the mark, as in the table: the line of the ruler and of the profile begins and ends here."
RULER_WIDTH = "Across the line: 1 is the line itself; more pixels make the profile less noisy."
MEND = "The one step that mends the reason above. Marks that it changes come back by Undo above the map."
EXTRACT_READY = "Computes the kernel, its FFT, the reconstruction and the residual."
ZOOM = (
    "Drag moves a picture; Ctrl and wheel zoom it, and the wheel alone after a press into it; double-click resets. "
    "Kernel and uncertainty zoom together, the FFT on its own."
)
SYMMETRY_FOUND = (
    "Rotational symmetry order that the data choose, where the method finds one, and its probability p among those compared. "
    "Doubtful: the window cuts the pattern, or is shorter than its period."
)
WAVE_VECTOR_FOUND = "Wave vector of the strongest oscillation, 2π included, with one standard deviation."
NOISE_FOUND = "Standard deviation of the noise in the map, per pixel."
EXPLAINED = (
    "Share of the map's variance that the kernel's pattern at the defects accounts for. A background and noise that were modelled beside "
    "it do not count. Doubtful: the search does not vouch for the places, and a kernel of many numbers explains a map at wrong places too."
)
STABILITY = (
    "Extracts again from the surroundings of one half of the defects and of the other, two times, and compares the kernels: "
    "about four times as long as the extraction."
)
COMPARE_METHODS = (
    "Runs every other method on this map with the same defects, where the extraction put them, and shows kernels on one colour scale. "
    "r: Pearson correlation with the kernel above."
)
HALVES = "Pearson correlation of the kernels of two halves of the defects, mean of two random divisions: 1 is equal, noise alone gives 0."
FULL_LIST = "Spearman-Brown: the correlation to expect between two lists as long as the full one."
RESIDUAL_WHITENESS = "Correlation of neighbouring pixels of the residual: 0 for white noise, above 0.2 something is left in the map."
UNCERTAINTY = (
    "One standard deviation of the kernel, pixel by pixel. 1 σ: on its own colours. Kernel's colours: on the same scale as the kernel, "
    "to see how small it is. % of kernel: divided by |kernel|; where it reaches 100 % the kernel cannot be told from 0."
)
UNCERTAINTY_MANNERS = {"own": "1 σ", "kernel": "Kernel's colours", "share": "% of kernel"}
KERNEL_LIMITS = "Percentiles of the values at the two ends of the colours, for kernel, uncertainty and FFT. Only the pictures change."
SNIPPET = "Lines that give the same kernel to the last bit."
PICTURE_FORMAT = (
    "Of the pictures, with the colours and limits that are chosen on the page. SVG and PDF hold lines and text that a drawing program can "
    "edit."
)
NPZ = "Kernel, uncertainty, FFT, observation, reconstruction, residual, positions and axes as named arrays."
KERNEL_NPY = "float32, centre at index k // 2, units of the map."
NEXUS = "Kernel with its errors, Fourier transform, map, defects and side-car, signals and axes named as NeXus names them."
KERNEL_CSV = "One pixel a line: x, y from the centre, kernel, standard deviation."
GWYDDION = "Kernel, uncertainty, map, reconstruction and residual as channels of a .gwy file."
LOG_FFT = "Logarithmic: log10 of the magnitude, over four decades. Else the colours follow the square root, so that weak rings show."
PADDING = "Zero padding of the kernel by 4 before the transform: smoother to look at, the same information. The files keep the plain FFT."
PLACE = (
    "Networks: what Encoder_Y and Decoder_K make of the map. "
    "The embedding is fixed. A new latent is put among its nearest neighbours in the latent space itself, "
    "weighted with the inverse square of the distance."
)
METHOD_TITLES = {
    "refined": "Refined",
    "two_step": "Two-step network",
    "one_step": "One-step network",
    "parametric": "Parametric fit",
    "harmonic": "Circular harmonics",
    "tikhonov": "Least squares",
    "defect_average": "Defect average",
}
METHOD_HELP = {
    "refined": "The circular-harmonic or the networks' kernel, whichever the data prefer, corrected where held-out pixels show more.",
    "two_step": "Encoder_Y reads the map and its defects, Decoder_K draws the kernel. Learned on phenomenological kernels (Eq. 7).",
    "one_step": "One network straight from map and defects to the kernel: the paper's baseline.",
    "parametric": "Fits the phenomenological formula (Eq. 7), with error bars on its parameters. Wrong where the formula does not hold.",
    "harmonic": "One rotational symmetry, perhaps stretched, and decaying oscillations, chosen by the data. With an uncertainty.",
    "tikhonov": "Boundary-correct least squares with a decay prior. Assumes no symmetry and no formula; noise shows.",
    "defect_average": "Mean of the crops around the defects. Simple and biased: overlapping patterns do not cancel.",
}
PARAMETERS = {
    "symmetry_probability": ("Symmetry probability", ""),
    "wave_vector_rad_per_nm": ("Wave vector q", "rad/nm"),
    "wave_vector_rad_per_px": ("Wave vector q", "rad/px"),
    "wavenumber_rad_per_nm": ("Wave number B", "rad/nm"),
    "wavenumber_rad_per_px": ("Wave number B", "rad/px"),
    "decay_per_nm2": ("Decay c", "nm⁻²"),
    "decay_per_px2": ("Decay c", "px⁻²"),
    "orientation_rad": ("Orientation", "rad"),
    "orientation_phase_rad": ("Orientation φ₁", "rad"),
    "wave_vector_2_rad_per_nm": ("2nd wave vector", "rad/nm"),
    "wave_vector_2_rad_per_px": ("2nd wave vector", "rad/px"),
    "phase_rad": ("Phase φ₂", "rad"),
    "coherence_length_nm": ("Coherence length", "nm"),
    "coherence_length_px": ("Coherence length", "px"),
    "angular_contrast": ("Angular contrast", ""),
    "stretch_ratio": ("Stretch, long over short axis", ""),
    "stretch_direction_rad": ("Direction of the long axis", "rad"),
    "amplitude": ("Amplitude", ""),
}
STACK_METHOD = (
    "Refined and Circular harmonics share the work between the layers, so a stack takes little longer than a few layers. "
    "Every other method solves layer by layer."
)
STACK_READY = "Computes the kernel of every layer, from the same defects, with the preparation of the Extract page."
BAND_KIND = (
    "Free electron: a parabola with round contours. Dirac: a cone. Two bands: two parabolas that one defect scatters into each other. "
    "Elliptic and hexagonal: parabolas with such contours. Topological: a warped cone whose spin turns. Contours that are not round take "
    "some minutes. Lattices, and several at once: stack --band on the command line."
)
BAND_GUIDE = (
    "A guide for the eye: where a band of these numbers would have its wave vector 2k, and which wave vectors connect its states of "
    "the energy in view (joint density of states). It knows no phases and nothing of the defect."
)
BAND_GUIDE_KIND = "The band that was fitted to the maps, where one is claimed, or one whose numbers you choose with the sliders."
BAND_GUIDE_NUMBER = "Moves the drawn band only; nothing is fitted. It begins where the fit ended, where there is one."
FIT_BAND = (
    "The band's numbers, lifetime and mean free path from all maps together, not from the rings; on the command line: stack --band. "
    "It also says whether the maps show such a band at all."
)
GAP_RING = "Ring of q-space, 2π included, that connects the states whose gaps are compared."
GAP_SIGN = (
    "For stacks of a superconductor with energies of both signs about the Fermi level: whether the gap changes its sign between the states "
    "that the ring connects, from the energy-odd part of the phase-resolved signal. The same as stack --gap-sign on the command line."
)
STACK_FILES = (
    "A .3ds grid, an .npz with several layers, or one scan of the same place for every energy: several scans are moved onto the first "
    "one (in the order of their names), as the maps themselves say, to parts of a pixel."
)
STACK_EXAMPLE = "Seven simulated maps of a surface state with twelve defects; their kernels are computed at once."
STACK_RANGE = "Only these energies are computed; kernels that are there already stay."
STACK_PLAY = "Shows one energy after the other."
STACK_SCALE = (
    "Linear: as measured. Logarithmic: weak rings beside strong ones. Each energy alike: every row in units of its own maximum away from "
    "q = 0, so that the band is seen where the signal grows or fades with energy."
)
STACK_RESIDUAL = (
    "The layer as it went into the extraction; the kernels, as far as their window goes, at all defects; and what is left, "
    "over the same span of values."
)
STACK_CLASS = "The kernels of all classes are solved together at every energy; choose whose are shown."
STACK_LAYER = (
    "Bias V of the layer, mV. Only layers that are computed are offered. The dotted line in E(q) is this layer; a click "
    "into E(q) goes there."
)
STACK_FIT = (
    "E(q) of a band with q = 2k. Parabola: E = E0 + ħ²k²/2m*, a surface state. Line: E = E(0) + ħvk, a Dirac-like state. "
    "Layers without a ring take no part. Offered only where the rings decide that there is a band."
)

NOISE_MODEL = (
    "On: a smooth background, offsets, drift and streaks of scan lines, the lattice, coloured noise and defects of unequal strength are "
    "modelled as far as the map asks for them. Off: a constant background and white noise; worth comparing with a single defect, whose own "
    "rings a background can take up. For methods that give an uncertainty, and one class of defects."
)
ONE_DEFECT_OR_BACKGROUND = (
    "With a single defect nothing tells its pattern from a background: rings about the mark in the middle picture may be its own. "
    "Extract without *Model background and noise* to see the kernel with all of them, and compare."
)
PARTS = (
    "What the map is made of. The shares are those of the map's variance; they need not add up to 100 %, because the parts may overlap. "
    "The switch *Model background and noise* leaves out everything but a constant."
)
STACK_STABILITY = (
    "Solves the stack again from two halves of the defects (of each class), whose pixels do not overlap, and says layer by layer how far "
    "the kernels agree. Takes twice as long as the stack; on the command line: stack --stability."
)

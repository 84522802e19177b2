"""What a measured map adds to kernels and white noise: one nuisance a file, each a frozen dataclass and a function that draws it.

Levels are relative to the standard deviation of the clean map, the sum of the kernels over all defects. A *noise* has its level as
the standard deviation of the random process; a *structure* (background, lattice) has it over the map, so that every scene of a
level is as hard. Cores are measured by the kernel's peak. Functions return fields of unit level; measured_scene.py scales them and
puts a map together.
"""

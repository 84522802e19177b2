"""Files of programs: Gwyddion, Igor, MATLAB, NumPy, HDF5."""

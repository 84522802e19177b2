"""Files of Nanonis: scans, multipass scans, grids and their energies."""

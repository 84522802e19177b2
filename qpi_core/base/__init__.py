"""What everything rests on: errors, checks of input, units, pixel grids, provenance, a minimiser."""

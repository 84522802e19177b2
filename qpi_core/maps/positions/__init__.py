"""Positions of defects: lists in files, the scanner's coordinates, marks moved onto an extremum."""

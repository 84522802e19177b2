"""Maps in pictures, and in text as grids or as lists of points."""

"""The families of bands that can be fitted, one file a kind of contour."""

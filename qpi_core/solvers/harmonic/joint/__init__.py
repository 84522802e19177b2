"""The kernels of several classes of defects by circular harmonics, solved together."""

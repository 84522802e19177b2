"""Kernels by empirical-Bayes circular harmonics (fit.py is the door of this folder)."""

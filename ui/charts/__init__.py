"""Figures, in plotly's dictionary form."""

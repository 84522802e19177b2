"""Preparation of the map on the Extract page: its steps, their controls, and what each took out."""

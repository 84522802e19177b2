"""Positions of defects judged, refined and repaired by the map."""

"""Lists of defects that the map contradicts: checked, and repaired."""

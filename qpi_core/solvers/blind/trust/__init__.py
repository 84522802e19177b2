"""How far a finding can be trusted: as a whole, defect by defect, and on a part of the map that it has not seen."""

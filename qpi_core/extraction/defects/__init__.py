"""The defects of a map before a method runs: found where nothing is known, moved and weighted where a list is given."""

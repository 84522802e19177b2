"""A solved energy stack as files: arrays, pictures, a report, a script, and all of it in one ZIP."""

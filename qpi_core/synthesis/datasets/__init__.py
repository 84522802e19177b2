"""The paper's data set: written, read, and converted from the published one."""

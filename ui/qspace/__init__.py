"""The q-space view."""

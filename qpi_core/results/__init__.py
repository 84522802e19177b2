"""Estimates as files: arrays, pictures, tables, sessions, reports, scripts."""

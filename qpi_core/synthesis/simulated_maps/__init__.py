"""Simulated maps with their truth, clean ones and ones that look measured."""

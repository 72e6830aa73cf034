"""Synthetic videos, pictures and clips for the demos."""

"""Simulator of pictures with captions."""

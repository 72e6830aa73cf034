"""Simulator of camera-trap clips with sound."""

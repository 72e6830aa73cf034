"""Metrics and their protocols."""

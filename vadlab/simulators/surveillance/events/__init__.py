"""Anomalous events, one module per class."""

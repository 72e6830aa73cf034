"""Everyday behaviour: what ordinary people and cars do, one module per kind. No event, no anomaly."""

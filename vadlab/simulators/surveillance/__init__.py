"""Simulator of surveillance videos with people, vehicles and anomalous events."""

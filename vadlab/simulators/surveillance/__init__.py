"""Surveillance scenes with people, vehicles and anomalous events."""

"""People, vehicles, scenes and files that the simulators share."""

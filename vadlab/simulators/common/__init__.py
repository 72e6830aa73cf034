"""People, vehicles, scenes and files, shared by the simulators."""

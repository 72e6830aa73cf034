"""Events that only frames in their order tell, one module per class."""

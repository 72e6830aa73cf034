"""Models: methods, and the parts that they are built from."""

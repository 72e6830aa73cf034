"""Camera-trap clips with sound."""

"""``neurosim reproduce``."""

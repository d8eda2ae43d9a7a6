"""Training configurations: read without trusting them, checked, compared."""

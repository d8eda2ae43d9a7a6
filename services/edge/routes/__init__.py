"""The routes, a file a context."""

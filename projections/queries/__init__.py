"""The questions that the read models answer, a file a context."""

"""The HTTP edge: REST in, commands and queries out."""

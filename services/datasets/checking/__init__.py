"""What is in an uploaded file. Runs in a process of its own, as the file may be hostile."""

"""What runs: decisions, their runtime, and the processes."""

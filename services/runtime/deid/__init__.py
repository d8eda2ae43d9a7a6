"""De-identification: what is recognised in text, what takes its place, by which policy, in texts and in files."""

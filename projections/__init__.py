"""What can be asked: facts folded into SQL tables, and the queries that serve the views."""

"""`trainledger serve`: the small parent that starts everything on one machine and outlasts none of it."""

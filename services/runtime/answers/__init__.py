"""What commands are answered with: views built from facts, by context, and the choice between those and read models."""

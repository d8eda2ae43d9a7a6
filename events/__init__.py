"""What is true: facts, states and how facts change them."""

"""What takes the place of what was recognised: permutations by key, of numbers, of texts, of typed values."""

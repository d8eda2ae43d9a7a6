"""The engine of de-identification in processes of its own, with its policies and its secret."""

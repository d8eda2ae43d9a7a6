"""What decisions need to know beside their own aggregate's state."""

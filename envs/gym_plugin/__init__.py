"""What Gym runs when it is imported, so that it knows the maze."""

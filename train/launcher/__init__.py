"""What runs before TensorFlow is imported."""

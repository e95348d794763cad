"""The commands: arguments read without TensorFlow, then what they run."""

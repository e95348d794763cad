"""Maze navigation."""

"""Doubles for tests: a living repository and a disk that loses power at any moment."""

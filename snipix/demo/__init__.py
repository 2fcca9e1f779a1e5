"""The demonstration: everything is killed in the middle of a hundred saves, and nothing is lost."""

"""Answers that are kept, and given again to whoever asks the same."""

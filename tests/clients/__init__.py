"""Real clients against a running gateway in front of fake providers."""

"""How calls reach providers: the lanes, and the streams that come back."""

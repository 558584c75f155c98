"""The whole deployment in an emulated AWS: `make emulate`."""

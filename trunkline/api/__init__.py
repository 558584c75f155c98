"""The HTTP surfaces: read the request, call the gateway, write the answer."""

"""Every function, from the layers that are built, under the emulator of Lambda's runtime.

`make functions` builds the layers and runs these tests; without what it makes, they are skipped.
"""

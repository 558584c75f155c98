"""ministack, mended where it falls short of what the stacks need.

    .venv-emulator/bin/python tests/emulation/emulator

It runs in an environment of its own (`.venv-emulator`), on a Python of Lambda's, because it runs
the functions on its own interpreter. Its environment reaches the functions; so nothing but names
that begin with `EMULATED_` is added to it.
"""

from __future__ import annotations

import alarms
import extraction
import links
import outside
import stores
import stubs
import transport

for part in (transport, stubs, alarms, stores, links, outside, extraction):
    part.install()

from ministack.app import main  # noqa: E402 - what was installed must be there before

main()

"""Rolls out what is uploaded: judges it, moves the pointer, tells every process, watches trials.

    upload → judges.py → gate.py → rollout.py (the pointer) → shared.py (the bus)
                                       ↑
                 guards.py ← what became of a trial's calls

Knows nothing of Lambda or the command line: `functions/rollout` and `commands.py` begin here.
"""

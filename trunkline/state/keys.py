"""What lies in Redis under which key. All keys share a hash tag, and so a node of a cluster.

    held         hash   of each counter, by its key, what calls hold of it
    calls:<p>    hash   of each open call of a process, what it holds: MessagePack, with `x` before
                        it where it doesn't any more; of one that was settled a moment ago, `s` and
                        its row's id
    born         text   differs from what it was when the server has lost all
    processes    zset   processes that share the limits, by when they last said so
    w:<counter>  hash   a window: by second, what was let through; `n` its second, `t` its sum
    b:<counter>  hash   a budget: `s` spent in period `p`; while `s` isn't there, `o` what was spent
                        without a row, and `d` what the database may lack since the moment `m`;
                        `f` when it was forgotten and hasn't been asked for since
    p:<counter>         calls at once: only a name, which is counted in `held`
    unwritten    hash   of each budget, by its key, what the rows in the stream cost
    ledger       stream rows that the database may lack: `r` the row, `c` its cost and its budgets
    trial:<t>    hash   what became of a trial's calls, see `arms.py`; `trial:<t>:<call>` text, who
                        decided the call
    changes      channel of the bus

Amounts are whole numbers up to 2⁵³, which Lua counts exactly; nano-dollars up to nine million
dollars are.
"""

from __future__ import annotations

from .find import TAG

HELD = f"{TAG}:held"
UNWRITTEN = f"{TAG}:unwritten"
LEDGER = f"{TAG}:ledger"
BORN = f"{TAG}:born"
PROCESSES = f"{TAG}:processes"
CHANGES = f"{TAG}:changes"

CALLS = f"{TAG}:calls:"
WINDOW = f"{TAG}:w:"
BUDGET = f"{TAG}:b:"
PLACES = f"{TAG}:p:"
TRIAL = f"{TAG}:trial:"

MOST = 2**53
"""The largest amount that is counted exactly; a limit beyond it limits nothing that can be."""

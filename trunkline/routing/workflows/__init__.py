"""Strategies that talk to models: they answer a call by calls of their own, through the gateway's
own pipeline, so that each is treated as any other call is.

    workflow.py     which calls a workflow answers, and how it begins
    run.py          one call's run: its inner calls, their bounds, their sum
    automix.py, multiround.py, router_r1.py     the workflows
    prompts.py      what models are told        reading.py     what they say
    wires.py        the texts of answers, and notes in requests, as each API has them
"""

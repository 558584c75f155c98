"""The gateway's shape on AWS: stacks, and the constructs that they are made of.

    app.py           what `cdk` runs: reads the settings, makes the stacks
    settings.py      what the context may say, and what each profile means
    paths.py         the path table: which shell answers a request
    assets.py        where the code of the functions, their layers and the images come from
    suppressions.py  what cdk-nag is told, with the reasons
    stacks/          network → data → operations → gateway → observability
    constructs/      one concern each

docs/deploy.md says how it is used.
"""

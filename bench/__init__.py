"""Side-by-side measurements of Trunkline against a bare relay and other gateways.

upstream, relay, streams   processes of their own: the provider, the reference, the stream client
contenders, installation   what is measured, and how it gets here
processes, load            starting, watching and loading servers
measures                   the four measures: throughput, streaming, start, memory
figures, report, drawing   what comes out: ratios, tables, the picture
"""

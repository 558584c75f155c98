"""The stacks, in the order in which they are deployed.

    Network        changes hardly ever
    Data           what must outlive everything else: buckets, database, cache, secrets, the topic
    Operations     rollout, training, maintenance; puts the first configuration into force
    Gateway        what answers: API, balancer, service, function; may be made anew at any time
    Observability  dashboard and alarms, which only read

Each needs those before it and none after it, so they are destroyed in the reverse order, and
`cdk deploy Trunkline-Gateway --exclusively` changes the gateway alone.
"""

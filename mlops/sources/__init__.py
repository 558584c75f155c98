"""Where a gateway's own records are read from: its database, its logs, traces, and S3."""

"""What is in force: snapshots of the configuration."""

"""What the repository's own commands run; no part of the gateway."""

"""The arithmetic of each learned strategy: from a query to a score for every label of a bundle."""

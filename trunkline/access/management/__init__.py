"""Keys, users, teams and budgets as the database has them: made, found, changed and removed."""

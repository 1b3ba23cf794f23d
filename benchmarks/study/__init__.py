"""Studies of methods beside one another: what is compared, rates chosen alike, tables, figures."""

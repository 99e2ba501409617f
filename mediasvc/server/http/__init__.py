"""HTTP as the service speaks it: connections, bodies, conditions, problems, admission."""

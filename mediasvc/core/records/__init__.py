"""Values that outlive a process or pass between two: index entries, messages, asset names."""

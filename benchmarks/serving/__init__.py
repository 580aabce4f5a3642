"""What serving costs: a whole book at once, and requests one by one."""

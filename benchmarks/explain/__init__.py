"""What explaining a score takes, beside the libraries that do it."""

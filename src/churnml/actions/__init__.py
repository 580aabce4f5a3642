"""What to do next: plays declared in TOML, the one that fits an account, and its words."""

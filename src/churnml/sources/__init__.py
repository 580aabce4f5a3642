"""Where tables come from: files or SQL over raw exports, as relations that keep to the contract."""

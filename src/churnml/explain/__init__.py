"""Why an account scores as it does, in its own numbers and in the reader's language."""

"""Which accounts there were at an `as_of`, what could be known then, and what came of it."""

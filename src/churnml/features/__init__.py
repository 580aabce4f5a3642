"""What is measured about an account at an `as_of`: declarations, and the engine that computes them."""

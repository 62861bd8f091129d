"""What is measured about trained networks."""

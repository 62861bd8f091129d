"""What is measured about the simulator."""

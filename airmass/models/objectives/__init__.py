"""What training minimises: losses, their weights, and objectives that several families share."""

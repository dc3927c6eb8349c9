"""What a network is and how it is listed, cut and converted; one folder a framework."""

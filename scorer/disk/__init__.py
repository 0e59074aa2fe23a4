"""Files on the disk of this machine: durable, locked, published together. Imports the ground floor alone."""

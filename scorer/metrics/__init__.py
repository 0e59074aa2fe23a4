"""Figures of a classification and their intervals, from arrays alone. Imports the ground floor alone."""

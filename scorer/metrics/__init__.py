"""Figures of a classification and their intervals; knows no file. Imports the ground floor alone."""

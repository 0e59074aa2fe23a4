"""Files of reviews: which ones, in which format, read and written. Imports ``disk``."""

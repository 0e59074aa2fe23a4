"""Files of reviews: found, opened, read and written in every format. Imports ``disk``."""

"""A bundle, and how texts go through it. Imports ``files`` and ``disk``."""

"""First on the path, it hides pandas, as if it were not installed."""

raise ModuleNotFoundError("No module named 'pandas'", name="pandas")

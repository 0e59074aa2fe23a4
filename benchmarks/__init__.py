"""How fast scoring is, beside what people would use instead and what the hardware can do. Not installed."""

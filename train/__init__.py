"""Fine-tuning: data sets, checkpoints, ``Trainer``."""

"""``python -m scorer`` is ``score``, for an interpreter whose scripts are not on the ``PATH``."""

from scorer.commands.score import score_main

if __name__ == "__main__":
    score_main()

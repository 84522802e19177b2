"""The one error class for what a user can put right."""

LONGEST_SENTENCE = 500


class InputError(ValueError):
    """Bad input, told in one plain sentence that names the argument, what was wrong and what would be right.

    A sentence may quote what a file holds, so it is brought onto one line and, where it is longer than LONGEST_SENTENCE, loses its middle.
    """

    def __init__(self, sentence: str) -> None:
        line = " ".join(str(sentence).split())
        half = LONGEST_SENTENCE // 2
        super().__init__(line if len(line) <= LONGEST_SENTENCE else f"{line[:half]} … {line[-half + 3 :]}")

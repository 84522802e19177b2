"""The one error class for what a user can put right."""


class InputError(ValueError):
    """Bad input, told in one plain sentence that names the argument, what was wrong and what would be right."""

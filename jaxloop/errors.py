"""The one way that jaxloop refuses what a person gave it; and how it asks for what a person must still do."""

from collections.abc import Iterable

EXIT_CODE = 2


class InputError(Exception):
    """Bad input: names the field, the value, and what is allowed. `main` prints it on one line and exits with code 2.

    Args:
      field: what the person typed, e.g. "data.path" or "--workdir".
      value: the value that was refused; anything with a repr.
      allowed: what would have been accepted, in words, or the accepted values.
    """

    exit_code = EXIT_CODE

    def __init__(self, field: str, value: object, allowed: str | Iterable[str]):
        if not isinstance(allowed, str):
            allowed = "one of " + ", ".join(allowed)
        self.field, self.value, self.allowed = field, value, allowed
        line = f"{field}={value!r} is refused; allowed: {allowed}"
        super().__init__(" ".join(line.split()))


class Waiting(Exception):
    """A run cannot go on before people have voted. Its text says what to do; `main` prints it and exits with code 3."""

    exit_code = 3

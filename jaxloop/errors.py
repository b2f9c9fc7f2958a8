"""The exceptions that `main` turns into one line and an exit code."""

import contextlib
from collections.abc import Iterable, Iterator

EXIT_CODE = 2


class InputError(Exception):
    """Bad input: names the field, the value, and what is allowed.

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


@contextlib.contextmanager
def refusing(
    field: str,
    value: object,
    allowed: str,
    kinds: type[Exception] | tuple[type[Exception], ...] = Exception,
) -> Iterator[None]:
    """Turn an exception of these kinds into an InputError that ends with its first line.

    For libraries that may raise anything where a file is bad, and add pages of advice.
    """
    try:
        yield
    except InputError:
        raise
    except kinds as error:
        line = (str(error).strip().splitlines() or [""])[0][:300]
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {line}"
        raise InputError(field, value, f"{allowed} ({reason})") from error


class Waiting(Exception):
    """A run cannot go on before people have voted. Its text says what to do."""

    exit_code = 3


class Interrupted(Exception):
    """A signal ended the run; the state was saved. The exit code is the shell's, 128 + signal."""

    def __init__(self, signum: int):
        self.exit_code = 128 + signum
        super().__init__("interrupted and saved; the same command goes on from here")

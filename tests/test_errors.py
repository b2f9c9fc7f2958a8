"""Errors of other libraries as InputErrors."""

import pytest

from jaxloop.errors import InputError, refusing


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("bad\n\nPlease read many pages"), "ValueError: bad"),
        (RuntimeError(), "RuntimeError: "),
        (FileNotFoundError(2, "No such file or directory"), "No such file or directory"),
        (OSError("truncated"), "OSError: truncated"),
    ],
)
def test_an_exception_becomes_one_line_with_its_reason(error, reason):
    with pytest.raises(InputError) as caught, refusing("config.x", "file", "a whole file"):
        raise error
    assert str(caught.value) == f"config.x='file' is refused; allowed: a whole file ({reason})"


def test_input_errors_and_other_kinds_pass():
    for error in (InputError("config.y", 1, "2"), ValueError("x")):
        with pytest.raises(type(error)) as caught, refusing("config.x", "", "a file", OSError):
            raise error
        assert caught.value is error

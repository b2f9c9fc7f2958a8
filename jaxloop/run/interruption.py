"""SIGINT and SIGTERM as a flag that is looked at between chunks; a second one ends at once."""

import signal


class SignalFlag:
    """Context in which the first SIGINT or SIGTERM only sets `number`.

    JAX's callbacks may swallow a KeyboardInterrupt; a flag cannot be lost.
    """

    def __init__(self):
        self.number: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "SignalFlag":
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                self._before[number] = signal.signal(number, self._set)
            except (
                ValueError
            ):  # not the main thread, as in some notebooks: signals stay as they are
                break
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _set(self, number: int, frame) -> None:
        self.number = number
        for each in (signal.SIGINT, signal.SIGTERM):  # the second signal ends the process
            signal.signal(each, signal.SIG_DFL)

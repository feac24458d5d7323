# SPDX-License-Identifier: GPL-2.0-only
"""The command `hvolab`, and `python -m hvolab`: the command line, and its end at an interrupt."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import Any, NoReturn

_INTERRUPTED = 130
#: Objects after which the collector looks for cycles. Imports and a command allocate the default of 700 hundreds of
#: times, and leave no cycle.
YOUNG = 50_000
#: Seconds after which an interrupt that was dropped is repeated.
_REPEAT_SECONDS = 0.01


def main() -> NoReturn:
    """Run the command line; an interrupt before or after a command ends the program like one during it."""
    gc.set_threshold(YOUNG)
    sys.unraisablehook = repeat_dropped
    try:
        from hvolab.cli import app  # noqa: PLC0415 - importing it takes a while

        app.main()
    except KeyboardInterrupt:
        _end()
    except SystemExit as end:
        if end.code == _INTERRUPTED:
            _end()
        raise


def repeat_dropped(unraisable: Any) -> None:
    """Interrupt the program again where Python drops KeyboardInterrupt, as in the callback of a weak reference.

    Imports have such callbacks. The signal is repeated a little later: here the exception would be dropped again. Other
    exceptions are printed as by default.
    """
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        main_thread = threading.main_thread().ident
        timer = threading.Timer(_REPEAT_SECONDS, signal.pthread_kill, (main_thread, signal.SIGINT))
        timer.daemon = True
        timer.start()
    else:
        sys.__unraisablehook__(unraisable)


def _end() -> NoReturn:
    """End the program now, with the exit code of an interrupt.

    After KeyboardInterrupt has passed through exec() of text, as in a decorator of a class that is imported,
    `python -m` ends by the signal, whatever exit code is requested: run_eval_code_obj() in Python/pythonrun.c, 3.8.
    """
    for stream in sys.stdout, sys.stderr:
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()

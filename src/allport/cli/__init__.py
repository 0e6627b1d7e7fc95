"""The command line: one file a command, and one place where errors become sentences."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence

from allport.errors import AllportError

__all__ = ["main"]

_DEBUG = "Run the same command with --debug to see where it happened."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command of the command line.

    Args:
        argv: The words after `allport`; those of the process by default.

    Returns:
        0 done; 1 what was asked for cannot be done; 2 the request itself is wrong.
    """
    from cyclopts import CycloptsError

    from allport.cli.app import app, wants_debug

    words = list(sys.argv[1:] if argv is None else argv)
    debug = wants_debug(words)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows another one instead of failing.
            stream.reconfigure(errors="replace")
    try:
        code = app.meta(words, result_action="return_value")
        sys.stdout.flush()
    except AllportError as error:
        return _failed(error, str(error), error.exit_code, debug)
    except CycloptsError as error:
        command = " ".join(["allport", *(error.command_chain or ())])
        said = f"{str(error).strip()} `{command} --help` shows what it takes."
        return _failed(error, said, 2, debug)
    except KeyboardInterrupt as error:
        return _failed(error, "Interrupted.", 1, debug)
    except BrokenPipeError:
        # Whoever read our output has had enough (`allport runs | head`). Python would complain
        # again while flushing at exit.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:  # the last line: a person gets a sentence, whatever went wrong
        reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
        return _failed(error, f"{type(error).__name__}: {reason}. {_DEBUG}", 1, debug)
    return code if isinstance(code, int) else 0


def _failed(error: BaseException, sentence: str, code: int, debug: bool) -> int:
    from allport.reporting.plain_text import printable

    if debug:
        traceback.print_exception(error)
    for line in (sentence, *getattr(error, "__notes__", ())):
        print(printable(line, 2000), file=sys.stderr)
    return code

"""The program ``luamtev``, which is ``python -m luamtev`` too: signals are its own before anything else is imported."""

import sys

from runtime import signals


def main() -> int:
    """Run the command line of this process; returns the exit status, if the process lives on."""
    try:
        with signals.kept():
            from luamtev import cli

            return cli.main()
    except signals.Terminated as told:
        return told.status


if __name__ == "__main__":
    sys.exit(main())

"""The command `matinee`, and python -m matinee."""

import signal
import sys


def main() -> None:
    """Run the command; whoever interrupts its imports, a third of a second, gets one line, too."""
    try:
        from matinee.cli import app
    except KeyboardInterrupt:
        print("\nmatinee: stopped.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    app.main()


if __name__ == "__main__":
    main()

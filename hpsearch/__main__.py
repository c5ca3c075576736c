"""`python -m hpsearch` is the command `hpsearch`."""

import sys


def main() -> None:
    """Be the command; also Ctrl-C while it is still being loaded is no traceback."""
    try:
        from hpsearch.cli import main as command

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

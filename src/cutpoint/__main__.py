"""``python -m cutpoint``."""

from cutpoint.cli import main

if __name__ == "__main__":
    main()

"""`python -m churnml` is `churnml`."""

from churnml.cli.main import main

if __name__ == "__main__":
    main()

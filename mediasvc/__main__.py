"""`python -m mediasvc` is the command line."""

from mediasvc.cli import main

if __name__ == "__main__":
    main()

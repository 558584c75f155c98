"""`python -m mlops`, which is the command `trunkline-mlops`."""

from .command_line import main

if __name__ == "__main__":
    main()

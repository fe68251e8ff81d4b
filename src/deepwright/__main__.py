"""`python -m deepwright`."""

from deepwright.cli import main

main()

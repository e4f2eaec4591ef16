"""`python -m paretune` is `paretune`."""

from paretune.cli import main

main()

"""`python -m distillery`: the command line of the package that is on the path."""

import sys

from distillery.cli import main

sys.exit(main())

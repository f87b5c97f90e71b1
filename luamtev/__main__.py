"""`python -m luamtev` is the program luamtev."""

import sys

from luamtev.cli import main

sys.exit(main())

"""`python -m crild`."""

import sys

from crild.cli import main

sys.exit(main())

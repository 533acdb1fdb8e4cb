"""`python -m crild`, also what launchers of several processes start."""

import atexit
import sys

from crild.cli import main
from crild.processes import launched, leave

code = main()
if launched() > 1:
    # Threads of gloo that are still there when Python tears itself down abort a process that has done its work.
    atexit._run_exitfuncs()
    leave(code)
sys.exit(code)

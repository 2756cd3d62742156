"""`python -m airmass`."""

import sys

from airmass.commands.main import main

sys.exit(main())

"""`python -m airmass`."""

import sys

from airmass.cli import main

sys.exit(main())

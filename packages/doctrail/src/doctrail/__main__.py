"""`python -m doctrail` is `doctrail`."""

import sys

from doctrail.cli import main

sys.exit(main())

# Part of Network Audit. License LGPL-3.
import sys

from .command import main

sys.exit(main(sys.argv[1:]))

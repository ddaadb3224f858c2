"""`gunicorn tests.campaigns.oracle.mutant_app:app`: the wall with the mutant that `MUTANT` names.

gunicorn.conf.py has patched the standard library before this is imported.
"""

import os

from tests.campaigns.oracle.mutants import MUTANTS, VARIABLE
from wall import create_app

if os.environ.get(VARIABLE):
    MUTANTS[os.environ[VARIABLE]].plant()
app = create_app()

"""What hypothesis does in all tests: the same examples in each run, and no clock, for other programs run beside it.

`INITFS_RANDOM=1 ./inv test` looks for new ones.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

BUSY = [HealthCheck.too_slow]
settings.register_profile("same", deadline=None, suppress_health_check=BUSY, derandomize=True, database=None)
settings.register_profile("random", deadline=None, suppress_health_check=BUSY, print_blob=True)
settings.load_profile("random" if os.environ.get("INITFS_RANDOM") else "same")

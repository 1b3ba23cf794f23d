"""What only a GPU can show."""

import pytest

from neurosim.engines.cuda.device import missing

WHY = missing()
needs_device = pytest.mark.skipif(WHY is not None, reason=f"no GPU to work on: {WHY}")

"""How tests compile: with less optimization than users, as compilation is most of the time that tests
take.
"""

import os
import subprocess
import sys

# Without these emitters of code programs compile in two thirds of the time, and in one piece in nine tenths.
QUICK = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


def quick_flags() -> str:
    """Flags of XLA that a child process has accepted: XLA ends its process at a flag that it does not know.

    Some versions of XLA hold the name of a flag as text without knowing the flag, so that only a trial tells.
    """
    trial = "import jax; jax.numpy.zeros(1).block_until_ready()"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": QUICK}
    child = subprocess.run([sys.executable, "-c", trial], env=environment, capture_output=True, timeout=120)
    return QUICK if child.returncode == 0 else ""

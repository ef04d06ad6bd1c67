"""What every worker of a sweep imports sooner or later, imported once by the server that workers are forked from.

None of it starts a thread or touches CUDA. What libraries have to say at their import is kept from the user's terminal.
What is there before a fork stays, so the garbage collector does not look through it: not while it is imported, and not
in each worker, which takes most of a second off the end of each.
"""

from __future__ import annotations

import contextlib
import gc
import io
import warnings

gc.disable()
with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
    warnings.simplefilter("ignore")
    import fvcore.nn  # noqa: F401
    import torch_fidelity.metric_isc  # noqa: F401
    import torch_pruning  # noqa: F401

    import bench.sweep.run  # noqa: F401
gc.freeze()
gc.enable()

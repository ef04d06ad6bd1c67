"""What every worker of a sweep imports sooner or later, imported once by the server that workers are forked from.

None of it starts a thread or touches CUDA. What libraries have to say at their import is kept from the user's terminal.
What is there before a fork stays, so the garbage collector does not look through it: not while it is imported, and not
in each worker, which takes most of a second off the end of each.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import signal
import sys
import warnings

LIBRARIES = ("torch", "fvcore.nn", "torch_fidelity.metric_isc", "torch_pruning", "bench.sweep.run")

signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle, also while this imports
_parent = os.getppid()
gc.disable()
with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
    warnings.simplefilter("ignore")
    for _name in LIBRARIES:
        importlib.import_module(_name)
        if os.getppid() != _parent:  # it had nothing to do after all, or was killed
            os._exit(0)
code = importlib.import_module("bench.base.code")
for _name in [name for name in sys.modules if name.split(".")[0] in code.OURS]:
    code.tree_hash(code.source_of(_name) or "")  # keys ask for it: known to every worker that is forked from here
gc.freeze()
gc.enable()

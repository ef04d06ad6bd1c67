"""Generators that do what a benchmark does not expect: small sources, each with what `check-workload` has to find."""

from __future__ import annotations

from textwrap import dedent

PRELUDE = """
import torch
import torch.nn.functional as F
from torch import nn

class Base(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 64)
        self.c = nn.Conv2d(4, 4, 3, padding=1)
        self.rgb = nn.Conv2d(4, 3, 1)
        self.calls = 0
    def forward(self, z):
        x = torch.relu(self.fc(z).view(-1, 4, 4, 4))
        x = torch.relu(self.c(F.interpolate(x, scale_factor=2.0)))
        return torch.tanh(3 * self.rgb(x))

class Pixels(nn.Module):
    def forward(self, x):
        return F.adaptive_avg_pool2d(x, 2).flatten(1)

def judge():
    return Pixels()
"""


def forward(body: str) -> str:
    """A generator ``G`` whose ``forward(self, z)`` is ``body``, with ``x`` the right images."""
    inner = dedent(body).strip().replace("\n", "\n        ")
    head = (
        "class G(Base):\n    def forward(self, z):\n        self.calls += 1\n        x = super().forward(z)\n        "
    )
    return head + inner + "\n"


def init(body: str) -> str:
    """A generator ``G`` whose ``__init__`` ends with ``body``."""
    inner = dedent(body).strip().replace("\n", "\n        ")
    return "class G(Base):\n    def __init__(self):\n        super().__init__()\n        " + inner + "\n"


PROBLEM, NOTE, FINE = "problem", "note", "fine"
"""The worst that a check says of it. ``fine``: nothing that is not said of any such network."""

HARMLESS: dict[str, tuple[str, str]] = {
    # Raising, at once and later.
    "raises at once": (PROBLEM, forward("raise ValueError('no')")),
    "raises at the third call": (PROBLEM, forward("if self.calls == 3: raise ValueError('third')\nreturn x")),
    "raises at the fiftieth call": (PROBLEM, forward("if self.calls >= 50: raise ValueError('late')\nreturn x")),
    "raises for batches of 50": (PROBLEM, forward("assert len(z) != 50\nreturn x")),
    "raises for a batch of one": (PROBLEM, forward("assert len(z) > 1\nreturn x")),
    "raises when it is made": (PROBLEM, init("raise RuntimeError('not today')")),
    "raises in eval": (PROBLEM, "class G(Base):\n    def eval(self):\n        raise RuntimeError('never')\n"),
    "raises something without a text": (PROBLEM, forward("raise ValueError")),
    "raises a huge text": (PROBLEM, forward("raise ValueError('x' * 10**7)")),
    "raises many lines": (PROBLEM, forward("raise ValueError('a line\\n' * 10**5)")),
    "raises a text of half a character": (PROBLEM, forward("raise ValueError('\\ud800')")),
    "raises control characters": (PROBLEM, forward("raise ValueError('\\x1b[2J\\x00')")),
    "raises what cannot be printed": (
        PROBLEM,
        "class E(Exception):\n    def __str__(self): raise KeyError('no text')\n" + forward("raise E()"),
    ),
    "raises what recurses when printed": (
        PROBLEM,
        "class E(Exception):\n    def __str__(self): return str(self)\n" + forward("raise E()"),
    ),
    "raises StopIteration": (PROBLEM, forward("raise StopIteration")),
    "raises MemoryError": (PROBLEM, forward("raise MemoryError")),
    "raises NotImplementedError": (PROBLEM, "class G(nn.Module):\n    pass\n"),
    "raises a warning": (PROBLEM, forward("raise UserWarning('careful')")),
    "raises a group": (PROBLEM, forward("raise ExceptionGroup('two', [ValueError(1), KeyError(2)])")),
    "recurses": (PROBLEM, forward("return self.forward(z)")),
    "raises a UserError of ours": (
        PROBLEM,
        "from bench.base.errors import UserError\n" + forward("raise UserError('forged')"),
    ),
    # What it returns.
    "returns None": (PROBLEM, forward("return None")),
    "returns None later": (PROBLEM, forward("return x if self.calls < 9 else None")),
    "returns a list": (PROBLEM, forward("return [x]")),
    "returns itself": (PROBLEM, forward("return self")),
    "returns a generator": (PROBLEM, forward("return (y for y in x)")),
    "returns a number": (PROBLEM, forward("return x.sum()")),
    "returns numpy": (PROBLEM, forward("return x.detach().numpy()")),
    "returns NaN": (PROBLEM, forward("return x / 0 * 0")),
    "returns NaN later": (PROBLEM, forward("return x if self.calls < 20 else x * float('nan')")),
    "returns infinity for one image": (PROBLEM, forward("y = x.clone(); y[0, 0, 0, 0] = float('inf'); return y")),
    "returns complex numbers": (PROBLEM, forward("return torch.complex(x, x)")),
    "returns complex numbers later": (PROBLEM, forward("return x if self.calls < 9 else torch.complex(x, x)")),
    "returns truth values": (PROBLEM, forward("return x > 0")),
    "returns integers": (NOTE, forward("return x.long()")),
    "returns bytes": (PROBLEM, forward("return ((x + 1) * 127.5).to(torch.uint8)")),
    "returns half precision": (FINE, forward("return x.half()")),
    "returns float64": (FINE, forward("return x.double()")),
    "returns other shapes": (PROBLEM, forward("return x[..., : 8 - self.calls % 2]")),
    "returns random shapes": (PROBLEM, forward("return x[..., : int(torch.randint(4, 9, ()))]")),
    "returns a size by the batch": (PROBLEM, forward("return F.interpolate(x, size=(8, 8 + len(z) % 2))")),
    "returns too many": (PROBLEM, forward("return torch.cat([x, x])")),
    "returns too few": (PROBLEM, forward("return x[:4]")),
    "returns one": (PROBLEM, forward("return x[:1]")),
    "returns no images": (PROBLEM, forward("return x[:0]")),
    "returns no pixels": (PROBLEM, forward("return x[..., :0]")),
    "returns two channels": (PROBLEM, forward("return x[:, :2]")),
    "returns five dimensions": (PROBLEM, forward("return x[None]")),
    "returns squeezed": (PROBLEM, forward("return x.squeeze()")),
    "returns sparse": (PROBLEM, forward("return x.to_sparse()")),
    "returns on the meta device": (PROBLEM, forward("return x.to('meta')")),
    "returns a constant": (NOTE, forward("return torch.zeros_like(x)")),
    "returns its input's sum": (NOTE, forward("return torch.tanh(z.sum() + 0 * x)")),
    "returns a subclass": (FINE, "class T(torch.Tensor): pass\n" + forward("return x.as_subclass(T)")),
    "returns an expanded view": (NOTE, forward("return x[:1, :1, :1, :1].expand(len(z), 3, 8, 8)")),
    "returns its input": (
        PROBLEM,
        "class G(Base):\n    def forward(self, z):\n        return z\n",
    ),
    # Global state.
    "sets the default dtype": (PROBLEM, forward("torch.set_default_dtype(torch.float64)\nreturn x")),
    "sets the default dtype when made": (PROBLEM, init("torch.set_default_dtype(torch.float64)")),
    "sets the default device": (PROBLEM, forward("torch.set_default_device('meta')\nreturn x")),
    "turns gradients off": (PROBLEM, forward("torch.set_grad_enabled(False)\nreturn x")),
    "turns gradients on": (PROBLEM, forward("torch.set_grad_enabled(True)\nreturn x")),
    "sets threads": (PROBLEM, forward("torch.set_num_threads(2)\nreturn x")),
    "seeds torch": (PROBLEM, forward("torch.manual_seed(0)\nreturn x")),
    "seeds numpy": (PROBLEM, "import numpy\n" + forward("numpy.random.seed(0)\nreturn x")),
    "seeds random": (PROBLEM, "import random\n" + forward("random.seed(0)\nreturn x")),
    "seeds when made": (FINE, init("torch.manual_seed(0)")),
    "patches conv2d": (
        PROBLEM,
        "true = F.conv2d\n" + forward("F.conv2d = lambda *a, **k: true(*a, **k) * 2\nreturn x"),
    ),
    "patches at import": (PROBLEM, "true = F.conv2d\nF.conv2d = lambda *a, **k: true(*a, **k)\n" + init("pass")),
    "patches a layer": (PROBLEM, init("nn.Conv2d.forward = lambda self, x: x")),
    "patches a method of tensors": (PROBLEM, forward("torch.Tensor.relu_ = torch.Tensor.relu\nreturn x")),
    "patches print": (PROBLEM, "import builtins\n" + init("builtins.print = lambda *a, **k: None")),
    "changes the folder": (PROBLEM, "import os\n" + forward("os.chdir('/')\nreturn x")),
    "closes the output": (PROBLEM, "import io, sys\n" + forward("sys.stdout = io.StringIO()\nreturn x")),
    "is deterministic for all": (PROBLEM, init("torch.use_deterministic_algorithms(True)")),
    "sets autocast": (PROBLEM, forward("torch.set_autocast_enabled('cpu', True)\nreturn x")),
    "deletes a function": (PROBLEM, init("del F.conv3d")),
    # Randomness and memory.
    "draws noise": (NOTE, forward("return x + 0.1 * torch.randn_like(x)")),
    "draws noise from numpy": (NOTE, "import numpy\n" + forward("return x * float(numpy.random.rand())")),
    "counts in its output": (NOTE, forward("return x * (0.99 ** self.calls)")),
    "depends on the batch": (NOTE, forward("return x - x.mean(0, keepdim=True)")),
    "changes its weights": (NOTE, forward("self.rgb.weight.data.mul_(0.9)\nreturn x")),
    "adds a buffer": ("", forward("self.register_buffer('last', x.detach())\nreturn x")),
    "writes into its input": (NOTE, forward("z.zero_()\nreturn x")),
    "keeps its output": (PROBLEM, forward("self.kept = x * 2\nreturn x")),
    # Modules of other kinds.
    "is lazy": (FINE, init("self.fc = nn.LazyLinear(64)")),
    "is lazy in a convolution": (FINE, init("self.c = nn.LazyConv2d(4, 3, padding=1)")),
    "is lazy and unused": (PROBLEM, init("self.extra = nn.LazyLinear(3)")),
    "is lazy and fails": (PROBLEM, init("self.fc = nn.LazyLinear(63)")),
    "is scripted": (PROBLEM, "class S(Base): pass\ndef G(): return torch.jit.script(S())\n"),
    "is traced": (PROBLEM, "class S(Base): pass\ndef G(): return torch.jit.trace(S(), torch.zeros(2, 8))\n"),
    "has a scripted part": (PROBLEM, init("self.c = torch.jit.script(self.c)")),
    "is compiled": (FINE, "class S(Base): pass\ndef G(): return torch.compile(S())\n"),
    "is data parallel": (NOTE, "class S(Base): pass\ndef G(): return nn.DataParallel(S())\n"),
    "is on the meta device": (PROBLEM, "class S(Base): pass\ndef G(): return S().to('meta')\n"),
    "is half precision": ("", "class S(Base): pass\ndef G(): return S().half()\n"),
    "is double precision": (PROBLEM, "class S(Base): pass\ndef G(): return S().double()\n"),
    "is a function": (PROBLEM, "def G(): return lambda z: z\n"),
    "is a class, not made": (PROBLEM, "def G(): return Base\n"),
    "is one for all": (PROBLEM, "ONE = Base()\ndef G(): return ONE\n"),
    "needs arguments": (PROBLEM, "class G(Base):\n    def __init__(self, width):\n        super().__init__()\n"),
    "needs a keyword in forward": (PROBLEM, "class G(Base):\n    def forward(self, *, z):\n        return z\n"),
    "takes two inputs": (PROBLEM, "class G(Base):\n    def forward(self, z, y):\n        return z\n"),
    "ties its layers": (FINE, init("self.d = nn.Conv2d(4, 4, 3, padding=1)\nself.d.weight = self.c.weight")),
    "ties everything": (FINE, init("self.again = self.c")),
    "contains itself": (PROBLEM, init("self.me = self")),
    "prunes itself": (FINE, init("import torch.nn.utils.prune as p\np.l1_unstructured(self.c, 'weight', 0.5)")),
    "prunes itself twice": (
        FINE,
        init(
            "import torch.nn.utils.prune as p\np.l1_unstructured(self.c, 'weight', 0.5)\n"
            "p.random_structured(self.c, 'weight', 0.3, dim=0)\np.identity(self.rgb, 'bias')"
        ),
    ),
    "has extra state": (FINE, "class G(Base):\n    def get_extra_state(self): return {'v': 2}\n"),
    "has extra state that raises": (
        FINE,
        "class G(Base):\n    def get_extra_state(self): return object()\n"
        "    def set_extra_state(self, x): raise ValueError\n",
    ),
    "cannot say its extra state": (PROBLEM, "class G(Base):\n    def get_extra_state(self): raise ValueError('no')\n"),
    "has spectral norm": (FINE, init("self.c = nn.utils.parametrizations.spectral_norm(self.c)")),
    "has the old spectral norm": (FINE, init("self.c = nn.utils.spectral_norm(self.c)")),
    "has weight norm": (FINE, init("self.c = nn.utils.parametrizations.weight_norm(self.c)")),
    "has the old weight norm": (FINE, init("self.c = nn.utils.weight_norm(self.c)")),
    "is quantised": (
        PROBLEM,
        "class S(Base): pass\ndef G():\n"
        "    return torch.ao.quantization.quantize_dynamic(S(), {nn.Linear}, dtype=torch.qint8)\n",
    ),
    "has a complex weight": (PROBLEM, init("self.w = nn.Parameter(torch.zeros(3, dtype=torch.cfloat))")),
    "has a sparse weight": (PROBLEM, init("self.register_buffer('w', torch.eye(3).to_sparse())")),
    "has integer weights": (
        FINE,
        init("self.w = nn.Parameter(torch.zeros(3, dtype=torch.int64), requires_grad=False)"),
    ),
    "has an empty weight": (FINE, init("self.w = nn.Parameter(torch.zeros(0))")),
    "has NaN weights": (PROBLEM, init("self.c.weight.data.fill_(float('nan'))")),
    "has no weights": (
        PROBLEM,
        "class G(nn.Module):\n    def forward(self, z): return z.view(-1, 1, 2, 4).repeat(1, 3, 4, 2)\n",
    ),
    "cannot be copied": (
        PROBLEM,
        "import threading\n" + init("self.lock = threading.Lock()"),
    ),
    "fails when it is copied": (
        PROBLEM,
        "class G(Base):\n    def __deepcopy__(self, memo): raise ValueError('mine')\n",
    ),
    "copies to something else": (PROBLEM, "class G(Base):\n    def __deepcopy__(self, memo): return self\n"),
    # Hooks and attributes.
    "has a hook that raises": (PROBLEM, init("self.c.register_forward_hook(lambda *a: 1 / 0)")),
    "has a hook before loading that raises": (
        FINE,
        init("self._register_load_state_dict_pre_hook(lambda *a: 1 / 0)"),
    ),
    "has a hook that changes the output": (FINE, init("self.c.register_forward_hook(lambda m, i, o: o * 2)")),
    "has a hook that gives None's shape": (PROBLEM, init("self.register_forward_hook(lambda m, i, o: (o, o))")),
    "has a backward hook that raises": (
        NOTE,
        init("self.c.register_full_backward_hook(lambda *a: 1 / 0)"),
    ),
    "recurses in getattr": (
        PROBLEM,
        "class G(Base):\n    def __getattr__(self, name): return getattr(self, name + '_')\n",
    ),
    "answers every attribute": (
        "",
        "class G(Base):\n    def __getattr__(self, name):\n        try:\n            return super().__getattr__(name)\n"
        "        except AttributeError:\n            return lambda *a, **k: None\n",
    ),
    "has a property that raises": (
        FINE,
        "class G(Base):\n    @property\n    def width(self): raise ValueError('unknown')\n",
    ),
    "has a weight that is a property": (
        "",
        "class L(nn.Conv2d):\n    @property\n    def weight(self): raise ValueError('hidden')\n"
        + init("self.c = L(4, 4, 3)"),
    ),
    "overrides parameters": (
        PROBLEM,
        "class G(Base):\n    def parameters(self, recurse=True): raise ValueError('mine')\n",
    ),
    "overrides state_dict": (PROBLEM, "class G(Base):\n    def state_dict(self, *a, **k): return None\n"),
    "overrides modules": ("", "class G(Base):\n    def modules(self): return iter(())\n"),
    "overrides call": (PROBLEM, "class G(Base):\n    def __call__(self, z): raise ValueError('call')\n"),
    "overrides cpu": (PROBLEM, "class G(Base):\n    def cpu(self): return None\n"),
    "overrides len": ("", "class G(Base):\n    def __len__(self): raise ValueError('none')\n"),
    "overrides bool": ("", "class G(Base):\n    def __bool__(self): raise ValueError('maybe')\n"),
    "overrides repr": ("", "class G(Base):\n    def __repr__(self): raise ValueError('silent')\n"),
    "overrides train": (PROBLEM, "class G(Base):\n    def train(self, mode=True): raise ValueError('untrainable')\n"),
    "has dots in its names": (FINE, init("self._modules['a.b'] = nn.Conv2d(3, 3, 1)")),
    "has control characters in its names": (FINE, init("self.add_module('\\x1b[31m', nn.Conv2d(3, 3, 1))")),
    "has an empty module": (FINE, init("self.nothing = None\nself.register_module('none', None)")),
    "has ten thousand modules": (FINE, init("self.many = nn.ModuleList(nn.Identity() for _ in range(2000))")),
    # Gradients.
    "detaches": (NOTE, forward("return x.detach()")),
    "runs without gradients": (NOTE, forward("with torch.no_grad():\n    return super().forward(z)")),
    "raises with gradients": (PROBLEM, forward("assert not torch.is_grad_enabled()\nreturn x")),
    "has no backward": (
        NOTE,
        "class Op(torch.autograd.Function):\n    @staticmethod\n    def forward(ctx, x): return x * 1\n"
        "    @staticmethod\n    def backward(ctx, g): raise ValueError('one way')\n" + forward("return Op.apply(x)"),
    ),
    # Sources.
    "has a syntax error": (PROBLEM, "class G(Base:\n"),
    "imports what is not there": (PROBLEM, "import no_such_module_anywhere\n" + init("pass")),
    "divides by zero at import": (PROBLEM, "1 / 0\n" + init("pass")),
    "is declared in latin-1": (FINE, "# caf\u00e9\n" + init("pass")),
    "has a very deep expression": (FINE, "n = " + "+".join(["1"] * 1500) + "\n" + init("pass")),
    "has nothing of that name": (PROBLEM, "H = Base\n"),
}  # fmt: skip
"""Name -> what the check has to say at worst ('' where both are right), and the source after `PRELUDE`."""

DANGEROUS: tuple[tuple[str, str], ...] = (
    ("exits at import", PRELUDE + "import sys\nsys.exit(0)\n"),
    ("exits when made", PRELUDE + "import sys\n" + init("sys.exit(0)")),
    ("exits in forward", PRELUDE + forward("raise SystemExit(0)")),
    ("exits in forward with a text", PRELUDE + forward("raise SystemExit('bye')")),
    ("exits later", PRELUDE + forward("if self.calls > 20: raise SystemExit(0)\nreturn x")),
    ("exits hard", PRELUDE + "import os\n" + forward("os._exit(0)")),
    ("exits hard when made", PRELUDE + "import os\n" + init("os._exit(0)")),
    ("exits hard at import", PRELUDE + "import os\nos._exit(0)\n"),
    ("exits hard later", PRELUDE + "import os\n" + forward("if self.calls > 20: os._exit(0)\nreturn x")),
    ("interrupts", PRELUDE + forward("raise KeyboardInterrupt")),
    ("interrupts when made", PRELUDE + init("raise KeyboardInterrupt")),
    ("raises a BaseException", PRELUDE + "class E(BaseException): pass\n" + forward("raise E('outside')")),
    ("raises GeneratorExit", PRELUDE + forward("raise GeneratorExit")),
    ("kills itself", PRELUDE + "import os, signal\n" + forward("os.kill(os.getpid(), signal.SIGKILL)")),
    ("aborts", PRELUDE + "import os\n" + forward("os.abort()")),
    ("reads address nought", PRELUDE + "import ctypes\n" + forward("ctypes.string_at(0)")),
    ("loops for ever", PRELUDE + forward("while True: pass")),
    ("loops for ever when made", PRELUDE + init("while True: pass")),
    ("loops for ever at import", PRELUDE + "while True: pass\n"),
    ("sleeps", PRELUDE + "import time\n" + forward("time.sleep(10**6)")),
    ("waits for itself", PRELUDE + "import threading\n" + forward("threading.Event().wait()")),
    ("catches everything and goes on", PRELUDE + forward(
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass")),
    ("takes all memory", PRELUDE + forward("self.hog = [torch.ones(2**26) for _ in range(10**4)]\nreturn x")),
    ("takes all memory at once", PRELUDE + forward("return torch.ones(2**40)")),
    ("takes more at each call", PRELUDE + init("self.hog = []") + (
        "    def forward(self, z):\n        self.hog.append(torch.ones(2**27))\n        return super().forward(z)\n")),
    ("starts a thread that stays", PRELUDE + "import threading, time\n" + init(
        "threading.Thread(target=time.sleep, args=(10**6,)).start()\nself.calls = 1")),
    ("forks", PRELUDE + "import os\n" + forward("os.fork()\nreturn x")),
    ("closes its output", PRELUDE + "import os\n" + forward("os.close(1); os.close(2)\nreturn x")),
    ("ignores signals", PRELUDE + "import signal\n" + forward(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass")),
)  # fmt: skip
"""Name, source: what only a guard around the process can stop. Run through the command, never in a test's process."""

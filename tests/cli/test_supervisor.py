"""No code that a command runs ends it unheard, whatever it does to the process."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT, SOURCES, alive, children, wait_until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")

SCRIPT = """
import ctypes, os, re, signal, sys, threading, time
from bench.base.containment import contained
from bench.base.limits import Limits
from bench.cli.supervisor import supervised

def command() -> int:
    {body}

sys.exit(supervised(command))
"""


def as_from_a_terminal() -> None:
    """Whoever starts the tests in the background hands down an ignored SIGINT, nohup an ignored SIGHUP."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(body: str) -> subprocess.Popen[str]:
    lines = "\n    ".join(body.strip().splitlines())
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(body=lines)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": SOURCES, "PATH": "/usr/bin:/bin"},
        preexec_fn=as_from_a_terminal,
    )


def answer(body: str) -> tuple[int, str, str]:
    process = start(body)
    try:
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    return process.returncode, out, err


@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_the_exit_code_is_the_command_s(code: int) -> None:
    assert answer(f"print('out'); print('err', file=sys.stderr); return {code}") == (code, "out\n", "err\n")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("os._exit(0)", "code that it ran ended the process, with exit code 0."),
        ("os._exit(3)", "code that it ran ended the process, with exit code 3."),
        ("with contained('a w'): os._exit(0)", "a w: code that it ran ended the process, with exit code 0."),
        ("with contained('a'): pass\nos._exit(0)", "code that it ran ended the process, with exit code 0."),
        ("with contained('a'), contained('b'): os._exit(1)", "b: code that it ran ended the process, with exit code 1."), # noqa: E501
        ("with contained('w'): ctypes.string_at(0)", "w: the process was ended by SIGSEGV."),
        ("os.kill(os.getpid(), signal.SIGKILL)", "the process was ended by SIGKILL (out of memory?)."),
        (
            # Code that holds the interpreter: no thread of the process can do anything.
            "with contained('w', Limits(seconds=0.5)): re.fullmatch('(a+)+', 'a' * 64 + 'b')",
            "w: took longer than 0.5 s (--cell-seconds) and was ended.",
        ),
        (
            "with contained('w', Limits(seconds=0.5)):\n"
            "  while True:\n    try: time.sleep(99)\n    except BaseException: pass",
            "w: took longer than 0.5 s (--cell-seconds) and was ended.",
        ),
        (
            "with contained('w', Limits(memory=2**28)): held = b'1' * 2**29; "
            "re.fullmatch('(a+)+', 'a' * 64 + 'b')",
            "w: needed more than 0.25 GiB of memory (--cell-memory) and was ended.",
        ),
    ],
)  # fmt: skip
def test_an_end_that_the_command_did_not_want_is_said(body: str, message: str) -> None:
    assert answer(body) == (2, "", f"ganprune: {message}\n")


def test_a_thread_that_never_ends_does_not_hold_up_what_is_done() -> None:
    start = time.monotonic()
    assert answer("threading.Thread(target=time.sleep, args=(10**6,)).start(); return 0") == (0, "", "")
    assert time.monotonic() - start < 60


def test_what_was_registered_for_the_end_is_done() -> None:
    assert answer("import atexit; atexit.register(lambda: print('left')); print('done'); return 0") == (
        0,
        "done\nleft\n",
        "",
    )


def test_a_fault_of_ours_shows_its_traceback_and_does_not_climb_into_the_caller() -> None:
    code, out, err = answer("raise ZeroDivisionError")
    assert (code, out) == (1, "")
    assert "Traceback" in err and err.endswith("ZeroDivisionError\n")


def test_an_interrupt_of_the_command_s_process_alone_is_passed_on_once() -> None:
    body = """
print('ready', flush=True)
try: time.sleep(60)
except KeyboardInterrupt: print('stopped'); time.sleep(1)
return 130
"""
    process = start(body)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "stopped\n", "")


def test_a_terminal_that_interrupts_both_interrupts_once() -> None:
    body = """
print('ready', flush=True)
try: time.sleep(60)
except KeyboardInterrupt: print('stopped'); time.sleep(1)
return 130
"""
    process = start(body)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for pid in (*children(process.pid), process.pid):
        subprocess.run(["kill", "-INT", str(pid)], check=True)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "stopped\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_ends_both(number: signal.Signals) -> None:
    process = start("print('ready', flush=True); time.sleep(60); return 0")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    below = children(process.pid)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    wait_until(lambda: not any(map(alive, below)))


def test_an_ignored_signal_stays_ignored() -> None:
    """As by nohup."""
    ignored = SCRIPT.replace("def command", "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n\ndef command")
    body = "print('ready', flush=True); time.sleep(3); return 0"
    process = subprocess.Popen(
        [sys.executable, "-c", ignored.format(body=body)], stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env={"PYTHONPATH": SOURCES, "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert process.wait(timeout=60) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel does it on Linux only")
def test_no_command_outlives_who_started_it() -> None:
    process = start("print('ready', flush=True); time.sleep(60); return 0")
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    below = children(process.pid)
    assert below
    process.kill()
    start_of_wait = time.monotonic()
    wait_until(lambda: not any(map(alive, below)))
    assert time.monotonic() - start_of_wait < 30
    process.communicate()


@pytest.mark.parametrize("body", ["import sys; sys.exit(0)", "import os; os._exit(0)"])
def test_a_plug_in_that_leaves_is_a_mistake(tmp_path: Path, body: str) -> None:
    (tmp_path / "leaves.py").write_text(body + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", "list", "strategies", "--plugin", "leaves.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": SOURCES, "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "plug-in 'leaves.py'" in done.stderr and done.stderr.count("ganprune: ") == 1
    assert "Traceback" not in done.stderr

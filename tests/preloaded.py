"""Commands of Python in processes that need not load PyTorch first.

`python FILE ...`, `python -m MODULE ...` and `python -c CODE` run as they are written, each in a
process of its own: a fork of one that has imported what all of them take two seconds for, and
nothing of this repository.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

LAUNCH = """
import gc, io, json, os, runpy, sys, threading
import cv2, torch
file = io.BytesIO()  # much of PyTorch is loaded when it is used
torch.export.save(torch.export.export(torch.nn.ReLU(), (torch.zeros(1),)), file)
torch.export.load(file).run_decompositions()
gc.collect()
gc.freeze()  # or every child would copy it all
for line in sys.stdin:
    words, folder, environment, out, err = json.loads(line)
    child = os.fork()
    if child:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(status, flush=True)
        continue
    for number, name in ((1, out), (2, err)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    module, code = words[0] == "-m", words[0] == "-c"
    sys.argv = words[1:] if module else ["-c", *words[2:]] if code else words
    places = [folder] if module or code else [os.path.dirname(words[0])]
    sys.path[:1] = places + [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p]
    ended = None
    try:
        if code:
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
        elif module:
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as error:
        ended = error.code
    if ended not in (None, 0):
        sys.exit(ended)
    threading._shutdown()  # waits for the others, as the interpreter's end does
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # the rest of that end would cost as much as the start has saved
"""


class Preloaded:
    """The process that the others are forked from; `folder` takes what they print."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH], env=environment, cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def run(
        self, words: list[str], cwd: Path, environment: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run what stands behind `python`, and return how it ended and what it printed."""
        out, err = self._folder / "out", self._folder / "err"
        for file in (out, err):
            file.unlink(missing_ok=True)
        request = [words, str(cwd), environment, str(out), str(err)]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the process that is forked has ended"
        texts = [file.read_text(encoding="utf-8") for file in (out, err)]
        return subprocess.CompletedProcess(words, int(answer), *texts)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()

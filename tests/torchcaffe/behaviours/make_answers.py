"""Run the programs on a real Caffe and write what they saw to answers.json.

    python3.9 -m venv caffe && caffe/bin/pip install 'numpy<2' 'protobuf<3.21' kendryte-caffe
    caffe/bin/python tests/torchcaffe/behaviours/make_answers.py

Where Caffe ends the process (glog's CHECK), the answer is "ends the process".
"""

import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ONE = """
import json, sys
sys.path.insert(0, {here!r})
import caffe
from programs import PROGRAMS
json.dump(PROGRAMS[{name!r}](caffe), open("answer.json", "w"))
"""


def answer(name):
    """Run one program in a process and a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        call = [sys.executable, "-c", ONE.format(here=HERE, name=name)]
        done = subprocess.run(
            call, cwd=folder, capture_output=True, env=dict(os.environ, GLOG_minloglevel="2")
        )
        if done.returncode < 0:
            return "ends the process"
        if done.returncode:
            raise SystemExit(name + ": " + done.stderr.decode())
        with open(os.path.join(folder, "answer.json"), encoding="utf-8") as file:
            return json.load(file)


if __name__ == "__main__":
    sys.path.insert(0, HERE)
    from programs import PROGRAMS

    answers = {name: answer(name) for name in PROGRAMS}
    lines = [f"{json.dumps(name)}: {json.dumps(seen)}" for name, seen in answers.items()]
    with open(os.path.join(HERE, "answers.json"), "w", encoding="utf-8") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")

"""vallm deploy and the commands around it, on processes of their own: start, status, logs, a change,
a rolling restart and scaling under load without a failed request, crashes, stop without a trace.

    python3 deploy_test.py                   device mock: seconds
    python3 deploy_test.py --device cpu --tensor-parallel-size 2     the demo model itself

Standard library only.
"""

import argparse
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from stack import BIN_DIR, MODEL_DIR, descendants, free_port

ARGUMENTS = argparse.Namespace(device="mock", tensor_parallel_size=1)
MODEL = "Qwen3"
STREAMS = 4
PATIENCE = 60


def running(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def eventually(condition, seconds=PATIENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Load:
    """Streams chats, one after the other in each thread, and keeps what went wrong."""

    def __init__(self, port):
        self.port = port
        self.finished = 0
        self.failures = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(STREAMS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number):
        count = 0
        while not self._stop.is_set():
            count += 1
            try:
                self._chat(f"{number}-{count}")
                self.finished += 1
            except Exception as error:  # whatever a client would see
                self.failures.append(f"chat {number}-{count}: {error!r}")

    def _chat(self, text):
        body = {"model": MODEL, "messages": [{"role": "user", "content": text}], "max_tokens": 40,
                "stream": True, "ignore_eos": True}  # fmt: skip
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)) as connection:
            connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            text = reply.read().decode()
        if reply.status != 200 or 'data: {"error"' in text or not text.endswith("data: [DONE]\n\n"):
            raise RuntimeError(f"{reply.status} {text[-300:]}")
        if '"finish_reason":"length"' not in text.replace('": "', '":"'):
            raise RuntimeError(f"no finish reason: {text[-300:]}")


class DeployTest(unittest.TestCase):
    def setUp(self):
        self._directory = tempfile.TemporaryDirectory(prefix="vallm-deploy-")
        self.root = pathlib.Path(self._directory.name)
        self.port, self.management_port = free_port(), free_port()
        self.environment = {**os.environ, "VALLM_STATE_DIR": str(self.root)}

    def tearDown(self):
        for name in [p.name for p in self.root.iterdir() if (p / "deployment.json").exists()]:
            self.vallm("stop", name, "--now", check=False)
        self._directory.cleanup()

    def vallm(self, *arguments, check=True):
        command = [str(BIN_DIR / "vallm"), *map(str, arguments)]
        result = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=4 * PATIENCE)
        if check and result.returncode != 0:
            logs = "".join(f"--- {p}\n{p.read_text(errors='replace')[-2000:]}" for p in self.root.glob("*/logs/*.log"))
            self.fail(f"{arguments}: {result.returncode}\n{result.stdout}{result.stderr}{logs}")
        return result

    def flags(self, *more, instances=2):
        return ["--model", MODEL_DIR, "--served-model-name", MODEL, "--device", ARGUMENTS.device,
                "--tensor-parallel-size", ARGUMENTS.tensor_parallel_size, "--instance", instances,
                "--host", "127.0.0.1", "--port", self.port, "--management-port", self.management_port,
                "--mock-token-time", 0.001, *more]  # fmt: skip

    def deploy(self, *more, instances=2, check=True):
        return self.vallm("deploy", *self.flags(*more, instances=instances), check=check)

    def status(self, name=MODEL):
        result = self.vallm("status", name, "--json", check=False)
        return json.loads(result.stdout)

    def pids(self):
        return {s["name"]: s["pid"] for s in self.status()["services"]}

    def test_its_life(self):
        deployed = self.deploy()
        lines = deployed.stdout.splitlines()
        for line in ("Deployment configuration updated successfully.", "All instances are up and running"):
            self.assertIn(line, lines)
        self.assertIn("Docker containers started successfully.", deployed.stdout)

        status = self.status()
        self.assertEqual(status["state"], "serving")
        self.assertEqual([s["name"] for s in status["services"]], ["tokenizer", "engine-0", "engine-1", "gateway"])
        self.assertTrue(all(s["ready"] for s in status["services"]))
        supervisor = status["supervisor_pid"]
        family = descendants(supervisor)
        self.assertGreaterEqual(len(family), 4 + 2 * ARGUMENTS.tensor_parallel_size)
        # It has left this process, its session and its terminal.
        self.assertEqual(os.getsid(supervisor), os.getsid(family[0]))
        self.assertNotEqual(os.getsid(supervisor), os.getsid(0))

        self.assertIn("nothing to do", self.deploy().stdout)
        self.assertEqual(self.status()["supervisor_pid"], supervisor)

        self.check_doctor()
        with Load(self.port) as load:
            self.assertTrue(eventually(lambda: load.finished >= STREAMS))
            self.check_rolling_restart(load)
            self.check_changes(load)
            self.check_crash(load)
        self.assertEqual(load.failures, [])

        self.check_logs()
        family = descendants(supervisor)
        ports = [int(s["address"].rsplit(":", 1)[1]) for s in self.status()["services"]]
        before = set(os.listdir("/dev/shm"))
        self.vallm("stop")
        self.assertEqual([pid for pid in (supervisor, *family) if running(pid)], [])
        self.assertEqual([p for p in (self.port, self.management_port, *ports) if is_open(p)], [])
        self.assertLessEqual(set(os.listdir("/dev/shm")), before)
        self.assertFalse(any("vallm" in name for name in os.listdir("/dev/shm")))
        self.assertEqual(self.status()["state"], "stopped")

        self.vallm("restart")
        self.assertEqual(self.status()["state"], "serving")
        self.vallm("stop", "--purge", "--now")
        self.assertEqual(list(self.root.iterdir()), [])

    def check_rolling_restart(self, load):
        before, finished = self.pids(), load.finished
        restarted = self.vallm("restart", "--rolling")
        after = self.pids()
        for name in ("engine-0", "engine-1", "tokenizer"):
            self.assertNotEqual(after[name], before[name])
        self.assertEqual(after["gateway"], before["gateway"])
        self.assertIn("engine-1: serves again", restarted.stdout)
        self.assertGreater(load.finished, finished)
        self.assertEqual(load.failures, [])

    def check_doctor(self):
        # Of the deployment that is there: model, machine and server, with its ports and memory.
        doctor = self.vallm("doctor", "--json", check=False)
        checks = {c["check"]: c for c in json.loads(doctor.stdout)["checks"]}
        for name in ("config", "chat template", "ports", "server", "answers", "refusals", "length limit"):
            self.assertEqual(checks[name]["verdict"], "pass", checks[name])
        # Hashes of tokens are no call that a schema allows within its length, nor know they sums.
        golden = self.root / "golden.jsonl"
        self.vallm("doctor", "--record", golden, check=False)
        rows = [json.loads(line) for line in golden.read_text().splitlines()]
        self.assertGreaterEqual(len(rows), 5)
        found = self.vallm("doctor", "--golden", golden, check=False).stdout
        self.assertRegex(found, rf"pass  golden +{len(rows)} answers are those")
        rows[0]["answer"]["content"] += "!"
        golden.write_text("".join(json.dumps(row) + "\n" for row in rows))
        found = self.vallm("doctor", "--golden", golden, check=False)
        self.assertEqual(found.returncode, 1)
        self.assertIn(f"{rows[0]['name']}: content is", found.stdout)
        golden.unlink()

    def check_changes(self, load):
        # Only the engines have that flag: they restart one after the other, and nothing else does.
        before = self.pids()
        changed = self.deploy("--max-num-batched-tokens", 256)
        self.assertIn("changed: max-num-batched-tokens: (default) -> 256", changed.stdout)
        after = self.pids()
        self.assertEqual(after["gateway"], before["gateway"])
        self.assertEqual(after["tokenizer"], before["tokenizer"])
        self.assertNotEqual(after["engine-0"], before["engine-0"])
        # One more, and back.
        more = self.deploy("--max-num-batched-tokens", 256, instances=3)
        self.assertIn("start: engine-2", more.stdout)
        self.assertEqual(self.status()["services"][3]["instance"]["serving"], True)
        fewer = self.deploy("--max-num-batched-tokens", 256, instances=2)
        self.assertIn("take out of service and stop: engine-2", fewer.stdout)
        self.assertEqual(len(self.status()["services"]), 4)
        self.assertEqual(load.failures, [])

    def check_crash(self, load):
        victim = self.pids()["engine-0"]
        os.kill(victim, signal.SIGKILL)
        self.assertTrue(eventually(lambda: self.pids()["engine-0"] not in (0, victim) and self.status()["state"] == "serving"))
        self.assertIn("killed by signal 9", self.vallm("status").stdout)
        finished = load.finished
        self.assertTrue(eventually(lambda: load.finished >= finished + STREAMS))

    def check_logs(self):
        self.assertIn("serving after", self.vallm("logs", "0", "-n", "-1").stdout)
        self.assertRegex(self.vallm("logs").stdout, r"(?m)^llm_serve_1 \| ")
        self.assertIn("engine-0 was killed by signal 9", self.vallm("logs", "supervisor", "-n", "-1").stdout)
        self.assertEqual(self.vallm("logs", "7", check=False).returncode, 2)
        names = {p.name for p in (self.root / MODEL / "logs").iterdir()}
        self.assertLessEqual({"llm_serve_0.log", "llm_serve_1.log", "gateway.log", "tokenizer.log"}, names)

    def test_a_change_that_fails_goes_back(self):
        self.deploy("--worker-binary", BIN_DIR / "vallm-worker")
        broken = self.root / "broken-worker"
        broken.write_text("#!/bin/sh\nexit 3\n")
        broken.chmod(0o755)
        # An engine restarts its workers for ever; it never serves.
        failed = self.deploy("--worker-binary", broken, "--start-timeout", 2, check=False)
        self.assertEqual(failed.returncode, 1, failed.stdout + failed.stderr)
        self.assertIn("going back to what ran before", failed.stdout)
        self.assertEqual(self.status()["state"], "serving")
        record = json.loads((self.root / MODEL / "deployment.json").read_text())
        self.assertEqual(record["flags"]["worker-binary"], [str(BIN_DIR / "vallm-worker")])

    def test_refuses_before_it_touches_anything(self):
        rows = [
            (["--model", "/nowhere"], "model directory /nowhere does not exist"),
            (["--tensor-parallel-size", 3], "--tensor-parallel-size can be 1, 2, 4"),
            (["--max-model-len", 1 << 20], "--enable-qwen3-rope-scaling"),
            (["--tool-call-parser", "qwen3_coder"], "--tool-call-parser hermes"),
            (["--chat-template", "/nowhere.jinja"], "cannot read /nowhere.jinja"),
            (["--default-chat-template-kwargs", "[]"], "must be a JSON object"),
            (["--management-port", self.port], "are both"),
            (["--devices", "0-3"], "--devices names VACC dies"),
            (["--device", "vacc"], "--device cpu"),
            (["--image", "vallm:1", "--runtime", "host"], "--image has no meaning"),
            (["--name", "../x"], "cannot be the name of a deployment"),
            (["--kv-cache-dtype", "fp3"], "fp3"),
            (["--reasoning-parser", "nobody"], "--reasoning-parser"),
        ]
        for arguments, message in rows:
            with self.subTest(arguments):
                flags = self.flags()
                for flag, value in zip(arguments[::2], arguments[1::2]):
                    if flag in flags:
                        flags[flags.index(flag) + 1] = value
                    else:
                        flags += [flag, value]
                refused = self.vallm("deploy", *flags, check=False)
                self.assertEqual(refused.returncode, 2, refused.stdout + refused.stderr)
                self.assertIn(message, refused.stderr)
                self.assertFalse(list(self.root.glob("*/deployment.json")))
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", self.port))
            taken.listen()
            refused = self.deploy(check=False)
            self.assertEqual(refused.returncode, 2)
            self.assertIn(f"--port: port {self.port} is in use", refused.stderr)

    def test_a_dry_run_changes_nothing(self):
        config = self.root / "deploy.yaml"
        config.write_text(f"model: {MODEL_DIR}\nserved_model_name: {MODEL}\ninstance: 2\ntensor_parallel_size: 1\n"
                          f"device: mock\nport: {self.port}\nmanagement_port: {self.management_port}\n")  # fmt: skip
        dry = self.vallm("deploy", "--config", config, "--dry-run")
        self.assertIn("Dry run mode enabled. Exiting without starting the service.", dry.stdout)
        self.assertIn("start: tokenizer, engine-0, engine-1, gateway", dry.stdout)
        self.assertEqual(list(self.root.iterdir()), [config])

    def test_names_the_deployment_that_has_the_port(self):
        self.deploy(instances=1)
        refused = self.deploy("--name", "other", check=False)
        self.assertEqual(refused.returncode, 2)
        self.assertRegex(refused.stderr, rf"deployment {MODEL} has port {self.port}")

    def test_the_doctor_of_a_server_that_is_not_there(self):
        found = self.vallm("doctor", "--url", f"http://127.0.0.1:{self.port}", check=False)
        self.assertEqual(found.returncode, 1)
        self.assertIn("FAIL  server", found.stdout)
        found = self.vallm("doctor", MODEL_DIR, "--tensor-parallel-size", 3, "--port", self.port, check=False)
        self.assertEqual(found.returncode, 1)
        self.assertIn("FAIL  tensor parallel", found.stdout)

    def test_the_benchmark(self):
        out = self.deploy("--enable-benchmark", "--benckmark-count", 1, "--max-model-len", 512, instances=1).stdout
        self.assertIn("Starting benchmark...", out)
        self.assertRegex(out, r"Average time to first token \(TTFT\): \d+\.\d+ seconds")
        self.assertGreater(float(re.search(r"Average output tokens\(TPOT\): ([\d.]+)", out)[1]), 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="mock")
    parser.add_argument("--tensor-parallel-size", default=1, type=int)
    known, rest = parser.parse_known_args(namespace=ARGUMENTS)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)

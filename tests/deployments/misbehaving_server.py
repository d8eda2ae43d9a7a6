"""A stdlib HTTP server that behaves as its options say: `python misbehaving_server.py MODEL --port P …`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--load-seconds", type=float, default=0.0, help="until it listens")
    parser.add_argument("--never-healthy", action="store_true")
    parser.add_argument("--ill-file", help="unhealthy as long as this file is there")
    parser.add_argument("--hang", action="store_true", help="takes requests and answers none")
    parser.add_argument(
        "--serve-apart", action="store_true", help="listens in a process that nothing shows to be this one's"
    )
    parser.add_argument("--until-input-ends", action="store_true")
    parser.add_argument("--ignore-term", action="store_true")
    parser.add_argument("--own-session-worker", action="store_true")
    parser.add_argument("--die-after", type=float)
    parser.add_argument("--exit-code", type=int, default=1)
    parser.add_argument("--say", default="", help="a line of output")
    parser.add_argument("--max-num-seqs", type=int)
    return parser.parse_args()


def serve_apart(given: argparse.Namespace) -> None:
    """By a process whose end is that of this one, for it has this one's pipe."""
    place = [f"--port={given.port}", f"--host={given.host}"]
    command = [sys.executable, __file__, given.model, *place, "--until-input-ends"]
    with subprocess.Popen(
        [*command, "--until-input-ends"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={},
        start_new_session=True,
    ) as server:
        print(server.pid, flush=True)
        server.wait()


def end_with_the_input() -> None:
    sys.stdin.read()
    os._exit(0)


def main() -> None:
    given = options()
    print(f"serving {given.model} {given.say}", flush=True)
    if given.ignore_term:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if given.own_session_worker:
        program = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    if given.until_input_ends:
        threading.Thread(target=end_with_the_input, daemon=True).start()
    if given.serve_apart:
        serve_apart(given)
        return
    if given.die_after is not None:
        threading.Timer(given.die_after, lambda: os._exit(given.exit_code)).start()
    time.sleep(given.load_seconds)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            while given.hang:
                time.sleep(60)
            ill = given.never_healthy or (given.ill_file is not None and os.path.exists(given.ill_file))  # noqa: PTH110
            self.send_response(503 if ill else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    ThreadingHTTPServer((given.host, given.port), Handler).serve_forever()


if __name__ == "__main__":
    main()

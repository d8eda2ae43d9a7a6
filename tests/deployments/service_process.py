"""The deployment service as a process of its own, to be killed: `python service_process.py SETTINGS`, in JSON."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from services.deployment.main import run
from services.runtime.handover import decode

logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
asyncio.run(run(decode(sys.argv[1].encode())))

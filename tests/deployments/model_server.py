"""A real model server for tests: `transformers serve` in an environment of its own, with a tiny random model.

`python -m tests.deployments.model_server` makes that environment (1.2 GB), or does nothing where it is there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("model_server.txt")

_MAKE_MODEL = """
import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

bytes_ = Tokenizer(models.BPE())
bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bytes_.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=258, initial_alphabet=alphabet, special_tokens=["<s>", "</s>"])
bytes_.train_from_iterator([], trainer)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_, bos_token="<s>", eos_token="</s>", pad_token="</s>")
tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\\n{% endfor %}assistant:"
tokenizer.save_pretrained(sys.argv[1])
config = LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2,
    max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=1,
)
LlamaForCausalLM(config).save_pretrained(sys.argv[1])
"""


def directory() -> Path:
    """Where the environment lies, or would: one for each set of requirements and Python."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    content = REQUIREMENTS.read_bytes() + sys.version.encode()
    return cache / "trainledger" / f"model-server-{hashlib.sha256(content).hexdigest()[:16]}"


def installed() -> bool:
    return (directory() / "complete").exists()


def install() -> None:
    """Makes the environment where it is missing; two at once take turns. CalledProcessError: pip said why."""
    place = directory()
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed():
            return
        if place.exists():  # left half made
            shutil.rmtree(place)
        venv.create(place, with_pip=True)
        pip: list[str | Path] = [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:"]
        subprocess.run([*pip, "-r", REQUIREMENTS], check=True)
        (place / "complete").touch()


def program() -> Path:
    """`transformers` of the environment."""
    return directory() / "bin" / "transformers"


def make_model(target: Path) -> Path:
    """A Llama of 20,000 random weights that speaks bytes, as `from_pretrained` loads it."""
    subprocess.run(
        [directory() / "bin" / "python", "-c", _MAKE_MODEL, target], check=True, capture_output=True, timeout=120
    )
    return target


if __name__ == "__main__":
    install()
    print(program())

#!/usr/bin/env bash
# Trains what a YAML file names:  bash run_train_full_sft.sh configs/qwen_demo.yaml
# The interpreter is TRAINLEDGER_PYTHON, else python3; it needs PyYAML and nothing else.
set -euo pipefail

if [[ $# -ne 1 ]]; then
    echo "usage: bash run_train_full_sft.sh CONFIG.yaml" >&2
    exit 2
fi
# exec: a signal to this process reaches the training.
exec "${TRAINLEDGER_PYTHON:-python3}" -B -u "$(dirname -- "${BASH_SOURCE[0]}")/train_sft.py" "$1"

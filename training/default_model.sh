#!/usr/bin/env bash
# Makes the model that ships in models/default: finds the texts of the shipped labels, trains both models together, and
# calibrates them on rows that neither they nor the shipped encoder have learnt from. 35 minutes on two cores.
#
#     FANKUI_DATA=… bash training/default_model.sh runs/default
set -euo pipefail
: "${FANKUI_DATA:?names the folder with datasets/ and triage/}"
out=${1:?expected the folder to write to}
mkdir -p "$out"

fankui data join --data "$FANKUI_DATA" -o "$out/labelled"
torchrun --nproc-per-node 2 -m fankui train --config data/default-model.toml --no-track --output "$out/run" \
  --train "$FANKUI_DATA/triage/train.jsonl" --train "$out/labelled/extended.jsonl" \
  --train data/samples/train.jsonl --train data/samples/domains.jsonl --train data/samples/contrast.jsonl \
  --dev "$FANKUI_DATA/triage/dev.jsonl"
fankui calibrate "$out/run/bundle" "$out/labelled/further.jsonl" \
  --test "$FANKUI_DATA/triage/dev.jsonl" --split dev -o "$out/default"

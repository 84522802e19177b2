#!/usr/bin/env bash
# Ten minutes of one large GPU: the paper's networks (84 million parameters) and the networks of a `base` release model.
#
#   benchmarks/train_on_gpu.sh OUT          on a machine with one GPU and a dozen cores
#   benchmarks/train_on_gpu.sh OUT smoke    the same commands with tiny networks on the CPU, in a few minutes
#
# Every stage fits its schedule into its own seconds (see the presets paper-gpu and base), so the whole takes what it takes anywhere.
# OUT receives what is worth keeping, in the order in which it is finished:
#
#   base/                 kernel_vae, observation_encoder, one_step: half precision, less than 32 MiB
#   base-losses/          loss and settings of its stages
#   paper/                results.json (with loss curves), tables.md, figures
#   seconds.txt           how long each part took
#
# Work files go to WORK (default: a temporary folder); PYTHON is the interpreter (default: .venv/bin/python, else python3).
set -euo pipefail

out=${1:?usage: benchmarks/train_on_gpu.sh OUT [smoke]}
size=${2:-full}
cd "$(dirname "$0")/.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=${WORK:-$(mktemp -d)}
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
cores=$(nproc)
case $size in
    full) paper=paper-gpu base=base scenes=${SCENES:-100} device=() plan=() processes=$((cores > 3 ? cores - 2 : 1)) ;;
    smoke) paper=paper-gpu-smoke base=base-smoke scenes=2 device=(--cpu) plan=(--kernels 10 --observations 60) processes=1 ;;
    *) echo "the second argument is $size; give smoke, or nothing" >&2; exit 2 ;;
esac

timed() {
    local name=$1 begun=$SECONDS
    shift
    "$@"
    echo "$name $((SECONDS - begun))" >> "$out/seconds.txt"
}

train() { "$python" -m qpi_core train --preset "$base" --out "$work/base" --processes "$processes" "$@"; }

# The scenes of step 2 need solvers and many cores, not a GPU: they are drawn while the GPU trains something else.
train --stage pool --cpu &
pool=$!
trap 'kill "$pool" 2> /dev/null || true' EXIT

timed base-codec train --stage kernel-vae "${device[@]}"
timed base-baseline train --stage one-step "${device[@]}"
timed pool wait "$pool"
timed base-encoder train --stage observation-encoder "${device[@]}"
cp -r "$work/base/model" "$out/base"
mkdir -p "$out/base-losses"
cp "$work/base/run.json" "$out/base-losses/"
for stage in kernel-vae observation-encoder one-step; do cp "$work/base/$stage/loss.jsonl" "$out/base-losses/$stage.jsonl"; done

timed paper "$python" -m qpi_core paper --preset "$paper" --out "$work/paper" --only with-symmetry --scenes "$scenes" "${plan[@]}" "${device[@]}"
mkdir -p "$out/paper"
cp "$work/paper/results.json" "$work/paper/tables.md" "$work/paper/"*.png "$out/paper/"

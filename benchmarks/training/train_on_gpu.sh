#!/usr/bin/env bash
# Ten minutes of one large GPU and a dozen cores: a `base` release model, and the paper's experiment with small networks and with its own.
#
#   benchmarks/training/train_on_gpu.sh OUT          on a machine with one GPU and a dozen cores
#   benchmarks/training/train_on_gpu.sh OUT smoke    the same commands with tiny networks on the CPU, in a few minutes
#
# Everything runs side by side: networks of this size leave most of such a GPU idle when they are trained one after the other. Every
# stage fits its schedule into its own seconds (see the presets base, paper-long-gpu and paper-gpu), so the whole takes what it takes
# anywhere. OUT receives what is worth keeping, each part when it is finished:
#
#   base/             kernel_vae, observation_encoder, one_step: half precision, less than 32 MiB
#   base-losses/      loss and settings of its stages
#   small/            the runs of `paper --preset paper-long-gpu`, with networks and losses, to be measured with --measure-only
#   paper/            results.json (with loss curves), tables.md and figures of the paper's networks (84 million parameters)
#   seconds.txt       how long each part took
#   *.log             what the parts printed
#
# Work files go to WORK (default: a temporary folder); PYTHON is the interpreter (default: .venv/bin/python, else python3); SCENES is the
# number of test observations of each setting for paper/ (default 100); PARTS may name fewer than "base small paper".
set -euo pipefail

out=${1:?usage: benchmarks/training/train_on_gpu.sh OUT [smoke]}
size=${2:-full}
cd "$(dirname "$0")/../.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=${WORK:-$(mktemp -d)}
python=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
cores=$(nproc)
plan=()
case $size in
    full) suffix='' scenes=${SCENES:-100} device=() processes=$((cores > 9 ? cores - 8 : 1)) ;;
    smoke) suffix=-smoke scenes=2 device=(--cpu) plan=(--kernels 10 --observations 60) processes=1 ;;
    *) echo "the second argument is $size; give smoke, or nothing" >&2; exit 2 ;;
esac
trap 'kill $(jobs -p) 2> /dev/null || true' EXIT

timed() {
    local name=$1 begun=$SECONDS
    shift
    "$@"
    echo "$name $((SECONDS - begun))" >> "$out/seconds.txt"
}

train() { "$python" -m qpi_core train --preset "base$suffix" --out "$work/base" --processes "$processes" "$@"; }

base() {
    # The scenes of step 2 need solvers and many cores, not a GPU.
    train --stage pool --cpu &
    local pool=$!
    timed base-codec train --stage kernel-vae "${device[@]}"
    timed base-baseline train --stage one-step "${device[@]}"
    timed base-pool wait "$pool"
    timed base-encoder train --stage observation-encoder "${device[@]}"
    mkdir -p "$out/base-losses"
    cp "$work/base/run.json" "$out/base-losses/"
    for stage in kernel-vae observation-encoder one-step; do cp "$work/base/$stage/loss.jsonl" "$out/base-losses/$stage.jsonl"; done
    cp -r "$work/base/model" "$out/base"
}

small_runs() {
    "$python" -m qpi_core paper --preset "paper-long-gpu$suffix" --out "$work/small" --scenes "$scenes" "${plan[@]}" "${device[@]}" \
        --train-only --only "$@"
}

keep_small() {
    for run in "$@"; do
        mkdir -p "$out/small/$run"
        cp -r "$work/small/$run/model" "$out/small/$run/"
        for stage in "$work/small/$run"/*/; do
            stage=$(basename "$stage")
            [ "$stage" = model ] || { mkdir -p "$out/small/$run/$stage"; cp "$work/small/$run/$stage"/*.jsonl "$out/small/$run/$stage/"; }
        done
    done
}

small() {
    small_runs photographs
    mkdir -p "$out/small/photographs"
    cp "$work/small/photographs/loss.jsonl" "$out/small/photographs/"
    small_runs with-symmetry & local first=$!
    small_runs random-start & local second=$!
    small_runs with-similarities & local third=$!
    small_runs without-symmetry
    wait "$first" && keep_small with-symmetry without-symmetry
    # It takes over the codec of with-symmetry.
    small_runs with-noise
    wait "$second" && wait "$third"
    keep_small random-start with-similarities with-noise
}

paper() {
    "$python" -m qpi_core paper --preset "paper-gpu$suffix" --out "$work/paper" --only with-symmetry --scenes "$scenes" "${plan[@]}" "${device[@]}"
    mkdir -p "$out/paper"
    cp "$work/paper/results.json" "$work/paper/tables.md" "$work/paper/"*.png "$out/paper/"
}

running=()
for part in ${PARTS:-base small paper}; do
    timed "$part" "$part" > "$out/$part.log" 2>&1 &
    running+=($!)
done
failed=0
for part in "${running[@]}"; do wait "$part" || failed=1; done
[ "$failed" = 0 ] || { tail -n 5 "$out"/*.log >&2; exit 1; }

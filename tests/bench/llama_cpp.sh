#!/usr/bin/env bash
# vallm and llama.cpp side by side: the same shapes with random weights, the same threads, one run.
#
#   tests/bench/llama_cpp.sh --llama-build DIR (--gguf FILE | --python PYTHON) [--output-type q8_0|bf16]
#       [--layers 4] [--threads N] [--build DIR]
#
# --llama-build has llama.cpp's own bin/llama-bench and bin/llama-batched-bench; its sources come with the
# package llama-cpp-python of PyPI (vendor/llama.cpp). random_gguf.py makes the Q8_0 model, with a Python that
# has gguf and numpy; --gguf takes one that was made before. vallm runs the FP8 release of Qwen3-30B-A3B: both
# read a byte per weight, but for the output matrix, which that release has in BF16 (--output-type bf16 makes
# llama.cpp's the same). Needs a built tree, and disk for both models (7 GB at 4 layers). Exits with 77, saying
# why, when something of that is not there. Downloads nothing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build="$root/build/release" layers=4 threads=$(nproc)
llama_build="" python="" gguf="" output_type=q8_0
while [ $# -gt 0 ]; do
  case "$1" in
    --llama-build) llama_build=$2 ;;
    --python) python=$2 ;;
    --gguf) gguf=$2 ;;
    --output-type) output_type=$2 ;;
    --layers) layers=$2 ;;
    --threads) threads=$2 ;;
    --build) build=$2 ;;
    -h | --help) sed -n '2,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) echo "llama_cpp.sh: unknown option $1 (--help)" >&2; exit 2 ;;
  esac
  shift 2
done
skip() { echo "llama_cpp.sh: skipped: $1" >&2; exit 77; }

[ -n "$llama_build" ] || skip "no --llama-build: give the build folder of a llama.cpp"
for program in llama-bench llama-batched-bench; do
  [ -x "$llama_build/bin/$program" ] || skip "$llama_build/bin/$program is missing"
done
[ -x "$build/bench/model_bench" ] || skip "$build/bench/model_bench is missing: build it first"
if [ -z "$gguf" ]; then
  "${python:-false}" -c 'import gguf, numpy' 2>/dev/null || skip "no --gguf, and --python '$python' has no gguf and numpy"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/vallm-llama-cpp-XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ -z "$gguf" ]; then
  gguf="$work/model-q8_0.gguf"
  "$python" "$root/tests/bench/random_gguf.py" "$gguf" --layers "$layers" --output-type "$output_type"
fi
"$build/bin/vallm" make-model "$work/fp8" --like Qwen3-30B-A3B-FP8 --layers "$layers" --seed 1

# One after the other, on an otherwise idle machine: neither loads while the other measures.
echo "== llama.cpp, Q8_0, $threads threads"
"$llama_build/bin/llama-bench" -m "$gguf" -t "$threads" -p 512,4096 -n 48 -r 3
"$llama_build/bin/llama-batched-bench" -m "$gguf" -t "$threads" -tb "$threads" -c 4096 \
  -npp 16 -ntg 48 -npl 1,4 2>/dev/null | grep '^|'
echo "== vallm, FP8, $threads threads"
"$build/bench/model_bench" "$work/fp8" "$build/bin/vallm-worker" "1x$threads"

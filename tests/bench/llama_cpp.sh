#!/usr/bin/env bash
# vallm and llama.cpp side by side: the same shapes with random weights, the same threads, one run.
#
#   tests/bench/llama_cpp.sh --llama-build DIR (--gguf FILE | --llama-source DIR --python PYTHON
#       --tokenizer DIR) [--like Qwen3-30B-A3B] [--layers 4] [--threads N] [--build DIR]
#
# --llama-build has llama.cpp's own bin/llama-bench and bin/llama-batched-bench. The Q8_0 model is made
# from a BF16 checkpoint of make-model by llama.cpp's convert_hf_to_gguf.py (--llama-source) with a
# Python that has torch and transformers; the converter only knows the real tokenizer, so --tokenizer
# names a directory with Qwen3's tokenizer.json and tokenizer_config.json. --gguf takes a model that
# was made before. vallm runs the FP8 release of the same architecture: both read a byte per weight.
# Needs a built tree, and disk for both models at once (12 GB at 4 layers). Exits with 77, saying why,
# when llama.cpp or what its converter needs is not there. Downloads nothing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build="$root/build/release" like=Qwen3-30B-A3B layers=4 threads=$(nproc)
llama_build="" llama_source="" python="" tokenizer="" gguf=""
while [ $# -gt 0 ]; do
  case "$1" in
    --llama-build) llama_build=$2 ;;
    --llama-source) llama_source=$2 ;;
    --python) python=$2 ;;
    --tokenizer) tokenizer=$2 ;;
    --gguf) gguf=$2 ;;
    --like) like=$2 ;;
    --layers) layers=$2 ;;
    --threads) threads=$2 ;;
    --build) build=$2 ;;
    -h | --help) sed -n '2,15s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
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
  converter="$llama_source/convert_hf_to_gguf.py"
  [ -f "$converter" ] || skip "no --gguf, and no convert_hf_to_gguf.py in --llama-source"
  "${python:-false}" -c 'import torch, transformers' 2>/dev/null ||
    skip "--python '$python' has no torch and transformers, which the converter needs"
  [ -f "$tokenizer/tokenizer.json" ] || skip "no tokenizer.json in --tokenizer '$tokenizer'"
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/vallm-llama-cpp-XXXXXX")
trap 'rm -rf "$work"' EXIT
if [ -z "$gguf" ]; then
  "$build/bin/vallm" make-model "$work/bf16" --like "$like" --layers "$layers" --seed 1 \
    --tokenizer-from "$tokenizer"
  gguf="$work/model-q8_0.gguf"
  "$python" "$converter" "$work/bf16" --outtype q8_0 --outfile "$gguf" >"$work/convert.log" 2>&1 ||
    { tail -5 "$work/convert.log" >&2; exit 1; }
  rm -rf "$work/bf16"
fi
"$build/bin/vallm" make-model "$work/fp8" --like "$like-FP8" --layers "$layers" --seed 1

# One after the other, on an otherwise idle machine: neither loads while the other measures.
echo "== llama.cpp, Q8_0, $threads threads"
"$llama_build/bin/llama-bench" -m "$gguf" -t "$threads" -p 512,4096 -n 48 -r 3
"$llama_build/bin/llama-batched-bench" -m "$gguf" -t "$threads" -tb "$threads" -c 4096 \
  -npp 16 -ntg 48 -npl 1,4 2>/dev/null | grep '^|'
echo "== vallm, FP8, $threads threads"
"$build/bench/model_bench" "$work/fp8" "$build/bin/vallm-worker" "1x$threads"

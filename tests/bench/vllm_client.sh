#!/usr/bin/env bash
# Installs vLLM's own benchmark client for tests/bench/vllm_client.py, without vLLM.
#
#   tests/bench/vllm_client.sh DIR        makes DIR/venv and DIR/benchmarks
#
# The scripts come unchanged out of vLLM's source distribution; what they import of vLLM itself, and
# do not use for text, are the five empty modules below.
set -euo pipefail
[ $# = 1 ] || { sed -n '2,4s/^# \{0,1\}//p' "$0" >&2; exit 2; }
version=0.9.2 # what the vendor's release is built on
mkdir -p "$1" && cd "$1"
python3 -m venv venv
venv/bin/pip install -q aiohttp==3.14.5 numpy==2.4.6 pandas==3.1.1 tqdm==4.70.1 transformers==5.24.0 \
  datasets==5.2.0 pillow==13.0.0

if [ ! -d benchmarks ]; then
  # pip unpacks the source and then fails to describe it (that needs torch): the unpacked files are
  # all that is wanted.
  mkdir -p unpacked
  TMPDIR="$PWD/unpacked" venv/bin/pip download -q --no-clean --no-deps --no-binary :all: --no-build-isolation \
    "vllm==$version" >download.log 2>&1 || true
  found="$(find unpacked -name benchmark_serving.py | head -n 1)"
  [ -n "$found" ] || { cat download.log >&2; echo "vllm_client: no benchmark_serving.py in vllm $version" >&2; exit 1; }
  cp -r "$(dirname "$found")" benchmarks
  rm -rf unpacked
fi

module() { mkdir -p "$(dirname "shim/vllm/$1")" && printf '%s\n' "$2" >"shim/vllm/$1"; }
module __init__.py ""
module lora/__init__.py ""
module lora/request.py "class LoRARequest: pass"
module lora/utils.py "def get_adapter_absolute_path(path): return path"
module multimodal/__init__.py "MultiModalDataDict = dict"
module multimodal/image.py "def convert_image_mode(image, mode): return image.convert(mode)"
module transformers_utils/__init__.py ""
module transformers_utils/tokenizer.py "from transformers import AutoTokenizer
AnyTokenizer = object
def get_lora_tokenizer(*_): return None
def get_tokenizer(name, **_): return AutoTokenizer.from_pretrained(name)"
PYTHONPATH=shim venv/bin/python benchmarks/benchmark_serving.py --help >/dev/null
echo "vLLM $version's benchmark client is in $PWD"

"""Writes a GGUF with Qwen3-30B-A3B's shapes and random Q8_0 weights, for tests/bench/llama_cpp.sh: no checkpoint,
converter or tokenizer is needed for measuring.

    python3 random_gguf.py OUT.gguf [--layers 4] [--output-type q8_0|bf16] [--seed 1]

Matrices are Q8_0 (blocks of 32: a half-precision scale and 32 bytes), norms and the router f32, as llama.cpp's own
quantiser leaves them; --output-type bf16 keeps the output matrix as Qwen's FP8 releases have it. Needs the packages
gguf and numpy from PyPI (made with gguf 0.19.0)."""

import argparse

import gguf
import numpy as np

HIDDEN, HEADS, KV_HEADS, HEAD_DIM = 2048, 32, 4, 128
EXPERTS, EXPERTS_USED, EXPERT_WIDTH, VOCAB = 128, 8, 768, 151936
BLOCK = 32  # values of a Q8_0 block


def q8_0(random, *shape):
    """Random blocks, as bytes of shape [..., columns / 32 * 34]; values of about 0.02 on average."""
    blocks = random.integers(0, 256, size=(*shape[:-1], shape[-1] // BLOCK, 2 + BLOCK), dtype=np.uint8)
    blocks[..., :2] = np.frombuffer(np.float16(0.02 / 64).tobytes(), dtype=np.uint8)
    return blocks.reshape(*shape[:-1], -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--output-type", choices=["q8_0", "bf16"], default="q8_0")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)

    writer = gguf.GGUFWriter(options.out, "qwen3moe")
    writer.add_block_count(options.layers)
    writer.add_context_length(40960)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(6144)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(EXPERTS_USED)
    writer.add_expert_feed_forward_length(EXPERT_WIDTH)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("no_vocab")

    def matrix(name, *shape):
        writer.add_tensor(f"{name}.weight", q8_0(random, *shape), raw_dtype=gguf.GGMLQuantizationType.Q8_0)

    def ones(name, size):
        writer.add_tensor(f"{name}.weight", np.ones(size, dtype=np.float32))

    matrix("token_embd", VOCAB, HIDDEN)
    ones("output_norm", HIDDEN)
    if options.output_type == "q8_0":
        matrix("output", VOCAB, HIDDEN)
    else:
        values = random.standard_normal((VOCAB, HIDDEN), dtype=np.float32) * np.float32(0.02)
        bf16 = (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
        writer.add_tensor("output.weight", bf16, raw_dtype=gguf.GGMLQuantizationType.BF16)
    for layer in range(options.layers):
        block = f"blk.{layer}"
        for norm, size in (("attn_norm", HIDDEN), ("ffn_norm", HIDDEN), ("attn_q_norm", HEAD_DIM), ("attn_k_norm", HEAD_DIM)):
            ones(f"{block}.{norm}", size)
        matrix(f"{block}.attn_q", HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{block}.attn_k", KV_HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{block}.attn_v", KV_HEADS * HEAD_DIM, HIDDEN)
        matrix(f"{block}.attn_output", HIDDEN, HEADS * HEAD_DIM)
        router = random.standard_normal((EXPERTS, HIDDEN), dtype=np.float32) * np.float32(0.02)
        writer.add_tensor(f"{block}.ffn_gate_inp.weight", router)
        matrix(f"{block}.ffn_gate_exps", EXPERTS, EXPERT_WIDTH, HIDDEN)
        matrix(f"{block}.ffn_up_exps", EXPERTS, EXPERT_WIDTH, HIDDEN)
        matrix(f"{block}.ffn_down_exps", EXPERTS, HIDDEN, EXPERT_WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file(progress=False)
    writer.close()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The other tiny golden models: FP16, GPTQ, AWQ, mixed dense and sparse layers, ragged FP8.

  python -m venv /tmp/golden && /tmp/golden/bin/pip install torch==2.15.0 transformers==5.24.0 safetensors==0.8.0 numpy==2.4.6
  /tmp/golden/bin/python more_golden_models.py TINY_TOKENIZER_DIR OUT_DIR [NAME ...]

TINY_TOKENIZER_DIR: any of the models here. As golden_models.py, which does most of the work: transformers in float32
over the float32 value of the stored weights. Quantised weights are packed by this file and the reference is what this
file unpacks again from the packed tensors. The formats:

GPTQ (packing code of AutoGPTQ and GPTQModel, nn_modules/qlinear): with p = 32 / bits values to a word and value i of a
word at bit i * bits, qweight int32 [in / p, out] runs along the input features, qzeros int32 [groups, out / p] along the
output features, scales f16 [groups, out], g_idx int32 [in]. w = (q - z) * s. Format "gptq" stores z - 1, "gptq_v2" z.
AWQ (AutoAWQ, modules/linear/gemm.py): qweight int32 [in, out / 8] and qzeros int32 [groups, out / 8] both along the output
features, value i of a word is that of feature 8 * word + (0, 2, 4, 6, 1, 3, 5, 7)[i]; scales f16 [groups, out]; z as it is.
"""
import sys, time

import torch

import golden_models as base

MODELS = {
    "qwen3-dense-f16": dict(experts=0, inter=352, tied=True, plain="float16", seed=11),
    "qwen3-dense-gptq-int4": dict(experts=0, hidden=256, inter=448, quant="gptq", bits=4, group=128, seed=12),
    "qwen3-dense-gptq-int4-asym": dict(experts=0, hidden=192, inter=352, tied=True, quant="gptq", bits=4, group=64, sym=False, seed=13),
    "qwen3-moe-gptq-int4": dict(hidden=192, layers=2, experts=6, inter=192, quant="gptq", bits=4, group=128, seed=14),
    "qwen3-dense-gptq-int8": dict(experts=0, hidden=128, inter=352, quant="gptq", format="gptq_v2", bits=8, group=32, sym=False, g_idx=False, seed=15),
    "qwen3-dense-awq": dict(experts=0, hidden=256, inter=384, quant="awq", bits=4, group=128, sym=False, seed=16),
    "qwen3-moe-awq": dict(hidden=128, layers=2, inter=96, quant="awq", bits=4, group=64, sym=False, plain="bfloat16", seed=17),
    "qwen3-moe-mixed": dict(hidden=64, layers=5, experts=6, step=2, mlp_only=[1], norm_topk=False, plain="bfloat16", seed=18),
    "qwen3-dense-fp8-ragged": dict(experts=0, hidden=208, layers=2, heads=16, kv=2, inter=336, fp8=True, seed=19),
}
DEFAULTS = dict(plain="float16", quant=None, bits=0, group=0, sym=True, format="gptq", g_idx=True)
AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def pack(values, bits, order):
    """Integers [rows, n] to words [rows, n / (32 / bits)]."""
    p = 32 // bits
    v = values.long().unflatten(-1, (-1, p))[..., order]
    words = (v << (torch.arange(p) * bits)).sum(-1)
    return torch.where(words >= 2**31, words - 2**32, words).int()


def unpack(words, bits, order):
    p = 32 // bits
    v = (words.long() & 0xFFFFFFFF).unsqueeze(-1) >> (torch.arange(p) * bits) & (2**bits - 1)
    out = torch.empty_like(v)
    out[..., order] = v
    return out.flatten(-2)


def quantise(w, m):
    """Round to nearest with one scale and zero point per output feature and group of inputs. w: [out, in]."""
    n, k = w.shape
    top = 2**m.bits - 1
    scales, zeros, q = [], [], torch.empty(n, k, dtype=torch.long)
    for a in range(0, k, m.group):
        part = w[:, a:a + m.group]
        if m.sym:
            s, z = part.abs().amax(1) / (top // 2), torch.full((n,), (top + 1) // 2)
        else:
            lo, hi = part.amin(1).clamp(max=0), part.amax(1).clamp(min=0)
            s = (hi - lo) / top
            z = (-lo / s).round().long().clamp(1, top)
        s = s.half()
        q[:, a:a + m.group] = (part / s.float()[:, None]).round().add(z[:, None]).clamp(0, top).long()
        scales.append(s), zeros.append(z)
    return q, torch.stack(scales), torch.stack(zeros)          # [out, in], [groups, out], [groups, out]


def quantised_tensors(name, w, m):
    """The packed tensors of a module."""
    q, s, z = quantise(w, m)
    if m.quant == "awq":
        return {name + ".qweight": pack(q.T, 4, AWQ_ORDER), name + ".qzeros": pack(z, 4, AWQ_ORDER), name + ".scales": s}
    order = list(range(32 // m.bits))
    t = {name + ".qweight": pack(q, m.bits, order).T.contiguous(), name + ".scales": s,
         name + ".qzeros": pack(z - (1 if m.format == "gptq" else 0), m.bits, order)}
    if m.g_idx:
        t[name + ".g_idx"] = (torch.arange(w.shape[1]) // m.group).int()
    return t


def dequantise(name, t, m):
    """float32 [out, in] from the packed tensors alone."""
    s = t[name + ".scales"].float()
    if m.quant == "awq":
        q, z = unpack(t[name + ".qweight"], 4, AWQ_ORDER), unpack(t[name + ".qzeros"], 4, AWQ_ORDER)
    else:
        order = list(range(32 // m.bits))
        q = unpack(t[name + ".qweight"].T, m.bits, order).T
        z = unpack(t[name + ".qzeros"], m.bits, order) + (1 if m.format == "gptq" else 0)
    g = torch.arange(q.shape[0]) // m.group
    return ((q - z[g]).float() * s[g]).T.contiguous()


def quantization_config(m):
    if m.quant == "awq":
        return {"backend": "autoawq", "bits": 4, "do_fuse": False, "exllama_config": None, "fuse_max_seq_len": None, "group_size": m.group,
                "modules_to_fuse": None, "modules_to_not_convert": ["mlp.gate"] if m.experts else None, "quant_method": "awq", "version": "gemm", "zero_point": True}
    return {"bits": m.bits, "checkpoint_format": m.format, "desc_act": False, "group_size": m.group, "lm_head": False,
            "meta": {"quantizer": ["gptqmodel:2.2.0"], "true_sequential": True}, "pack_dtype": "int32", "quant_method": "gptq", "sym": m.sym}


def store(m):
    if m.fp8:
        return base.store(m)
    plain = getattr(torch, m.plain)
    stored, ref = {}, {}
    for n, w in base.weights(m).items():
        if m.quant and n.endswith("_proj.weight"):
            t = quantised_tensors(n[:-len(".weight")], w, m)
            stored.update(t)
            ref[n] = dequantise(n[:-len(".weight")], t, m)
            assert (ref[n] - w).abs().max() < (0.3 if m.bits == 4 else 0.02) * w.abs().max(), n   # it is the same matrix
        else:
            stored[n] = w.to(plain); ref[n] = stored[n].float()
    c = base.config(m)
    c["torch_dtype"] = m.plain
    if m.quant:
        c["quantization_config"] = quantization_config(m)
    what = f"{m.quant} int{m.bits}, group size {m.group}" if m.quant else ""
    return stored, ref, dict(sorted(c.items())), f"dequantised from {what}" if m.quant else f"widened from {m.plain}"


def simulate(hf, ids):
    """Logits with the outputs of every norm, projection, MLP and layer rounded to bf16; router, softmax, logits wide."""
    def rounded(_module, _args, out):
        first = out[0] if isinstance(out, tuple) else out
        r = first.bfloat16().float()
        return (r, *out[1:]) if isinstance(out, tuple) else r
    hooks = []
    for name, module in hf.model.named_modules():
        kind = type(module).__name__
        if name.endswith(".gate") or not (kind == "Linear" or kind.endswith(("RMSNorm", "MLP", "Experts", "DecoderLayer", "Attention", "SparseMoeBlock"))):
            continue
        hooks.append(module.register_forward_hook(rounded))
    with torch.no_grad():
        logits = hf(torch.tensor([ids]), use_cache=False).logits[0].float()
    for hook in hooks:
        hook.remove()
    return logits


if __name__ == "__main__":
    for name in sys.argv[3:] or MODELS:
        t = time.time()
        base.build(name, {**DEFAULTS, **MODELS[name]}, sys.argv[1], sys.argv[2], store=store, simulate=simulate)
        print(f"  {time.time() - t:.1f} s", flush=True)

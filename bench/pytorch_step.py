#!/usr/bin/env python3
"""A training step of a Llama in PyTorch, to set beside `pgram run --backend cuda` of the same model on the same card.

fp32 without TF32 on both sides, AdamW (fused), clipping by the global norm, the same batch. Prints the median step.

    python3 bench/pytorch_step.py CONFIG.json --batch 8 --seq 1024 [--micro-batch 1] [--steps 20]
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        h, d = c["hidden_size"], c["head_dim"]
        self.heads, self.groups, self.d, self.eps = c["num_attention_heads"], c["num_key_value_heads"], d, c["rms_norm_eps"]
        self.norm1, self.norm2 = nn.Parameter(torch.ones(h)), nn.Parameter(torch.ones(h))
        self.qkv = nn.Linear(h, (self.heads + 2 * self.groups) * d, bias=False)
        self.out = nn.Linear(self.heads * d, h, bias=False)
        self.gate_up = nn.Linear(h, 2 * c["intermediate_size"], bias=False)
        self.down = nn.Linear(c["intermediate_size"], h, bias=False)

    def forward(self, x, cos, sin):
        b, s, h = x.shape
        qkv = self.qkv(F.rms_norm(x, (h,), self.norm1, self.eps)).view(b, s, -1, self.d).transpose(1, 2)
        q, k, v = qkv.split([self.heads, self.groups, self.groups], dim=1)
        rotate = lambda t: t * cos + torch.cat((-t[..., self.d // 2:], t[..., : self.d // 2]), -1) * sin
        o = F.scaled_dot_product_attention(rotate(q), rotate(k), v, is_causal=True, enable_gqa=True)
        x = x + self.out(o.transpose(1, 2).reshape(b, s, -1))
        gate, up = self.gate_up(F.rms_norm(x, (h,), self.norm2, self.eps)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Llama(nn.Module):
    def __init__(self, c, sequence):
        super().__init__()
        self.c = c
        self.embedding = nn.Embedding(c["vocab_size"], c["hidden_size"])
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["num_hidden_layers"]))
        self.norm = nn.Parameter(torch.ones(c["hidden_size"]))
        self.head = nn.Linear(c["hidden_size"], c["vocab_size"], bias=False)
        d = c["head_dim"]
        angles = torch.outer(torch.arange(sequence), c["rope_theta"] ** (-torch.arange(0, d, 2) / d)).repeat(1, 2)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = self.head(F.rms_norm(x, (x.shape[-1],), self.norm, self.c["rms_norm_eps"]))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seq", type=int, default=1024)
    parser.add_argument("--micro-batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    a = parser.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    c = json.load(open(a.config))
    model = Llama(c, a.seq).cuda()
    step_model = torch.compile(model) if a.compile else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    micro_batches = a.batch // a.micro_batch
    times = []
    for step in range(a.steps + 3):
        tokens = torch.randint(c["vocab_size"], (a.batch, a.seq + 1), device="cuda")
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for m in tokens.split(a.micro_batch):
            (step_model(m[:, :-1], m[:, 1:]) / micro_batches).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=False)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begin)
    times = sorted(times[3:])
    print(f"PyTorch {torch.__version__}{' compiled' if a.compile else ''}, {torch.cuda.get_device_name()}: "
          f"{sum(p.numel() for p in model.parameters()):,} parameters, batch {a.batch} x {a.seq}, micro-batch {a.micro_batch}: "
          f"{statistics.median(times) * 1e3:.1f} ms a step (p10 {times[len(times) // 10] * 1e3:.1f}, p90 {times[len(times) * 9 // 10] * 1e3:.1f})")


if __name__ == "__main__":
    main()

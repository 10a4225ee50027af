// The fast set: one function per kernel of the table, named as there; what is not here runs plain.
#pragma once
#include "cpu_backend/kernels/kernels.h"

namespace pgram::fast {

// fast_tokens.cpp
void embed(const Launch&, const RankInfo&);
void embed_dw(const Launch&, const RankInfo&);
void positions(const Launch&, const RankInfo&);
void positions_dw(const Launch&, const RankInfo&);
// fast_norms.cpp
void rms_norm(const Launch&, const RankInfo&);
void rms_norm_dx(const Launch&, const RankInfo&);
void rms_norm_dw(const Launch&, const RankInfo&);
void layer_norm(const Launch&, const RankInfo&);
void layer_norm_dx(const Launch&, const RankInfo&);
void layer_norm_dw(const Launch&, const RankInfo&);
void head_norm(const Launch&, const RankInfo&);
void head_norm_dx(const Launch&, const RankInfo&);
void head_norm_dw(const Launch&, const RankInfo&);
// fast_matmul.cpp
void matmul(const Launch&, const RankInfo&);
void matmul_dx(const Launch&, const RankInfo&);
void matmul_dw(const Launch&, const RankInfo&);
void bias(const Launch&, const RankInfo&);
void bias_dw(const Launch&, const RankInfo&);
// fast_rope.cpp
void rope(const Launch&, const RankInfo&);
void rope_bwd(const Launch&, const RankInfo&);
// fast_attention.cpp
void attention(const Launch&, const RankInfo&);
void attention_bwd(const Launch&, const RankInfo&);
// fast_elementwise.cpp
void swiglu(const Launch&, const RankInfo&);
void swiglu_bwd(const Launch&, const RankInfo&);
void gelu(const Launch&, const RankInfo&);
void gelu_bwd(const Launch&, const RankInfo&);
void add(const Launch&, const RankInfo&);
// fast_loss.cpp
void ce_max(const Launch&, const RankInfo&);
void ce_sum(const Launch&, const RankInfo&);
void ce_bwd(const Launch&, const RankInfo&);
// fast_optimizer.cpp
void sum_squares(const Launch&, const RankInfo&);
void adamw(const Launch&, const RankInfo&);
void sgd(const Launch&, const RankInfo&);

}  // namespace pgram::fast

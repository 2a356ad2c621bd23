/* all.c: the kernels of one instruction set. The build compiles this file once per set, with ISA as the name. */
#include "vec.h"
#include "model.h"

#include "bf16.c"
#include "panels.c"
#include "gemm.c"
#include "rmsnorm.c"
#include "rope.c"
#include "rows.c"
#include "loss.c"
#include "attention.c"
#include "packing.c"
#include "linear.c"
#include "activations.c"
#include "passes.c"
#include "int8.c"
#include "infer.c"
#include "peak.c"
#include "measure.c"

#define NAME_OF(isa) #isa
#define NAME(isa) NAME_OF(isa)
#define TABLE_OF(isa) kernels_##isa
#define TABLE(isa) TABLE_OF(isa)

const struct kernels TABLE(ISA) = {
    .name = NAME(ISA),
    .packed_floats = model_packed_floats,
    .init = model_init,
    .pack = model_pack,
    .update = model_update,
    .training_floats = training_floats,
    .forward = model_forward,
    .backward = model_backward,
    .quantized_bytes = quantized_bytes,
    .pack_quantized = pack_quantized,
    .session_floats = session_floats,
    .append = session_append,
    .measures = &measures,
};

/* rmsnorm_forward: y = x * rrms * gain with rrms = 1 / sqrt(mean(x * x) + eps), one row at a time.
 *   y (R, C) out, overwritten, row stride ldy    rrms (R) out, overwritten, kept for backward
 *   x (R, C) in, row stride ldx                  gain (C) in; no overlap
 * Zhang & Sennrich 2019, https://arxiv.org/abs/1910.07467 */
#define RMSNORM_EPS 1e-6f

static void rmsnorm_forward(float *restrict y, size_t ldy, float *restrict rrms, const float *restrict x, size_t ldx,
                            const float *restrict gain, size_t R, size_t C) {
  for (size_t i = 0; i < R; i++, x += ldx, y += ldy) {
    vf squares = {0};
    size_t c = 0;
    for (; c + VW <= C; c += VW) squares += vload(x + c) * vload(x + c);
    float sum = vsum(squares);
    for (; c < C; c++) sum += x[c] * x[c];
    const float scale = 1.0f / sqrtf(sum / (float)C + RMSNORM_EPS);
    rrms[i] = scale;
    for (c = 0; c + VW <= C; c += VW) vstore(y + c, vload(x + c) * scale * vload(gain + c));
    for (; c < C; c++) y[c] = x[c] * scale * gain[c];
  }
}

/* rmsnorm_backward: dx += rrms * (gain * dy - x * rrms^2 * mean(gain * dy * x)), dgain = sum over rows of dy * x * rrms.
 *   dx (R, C) added to, row stride ldx    dgain (C) overwritten
 *   dy (R, C) in, row stride ldy          x (R, C) in, row stride ldx, the input of forward; rrms (R) in */
static void rmsnorm_backward(float *restrict dx, float *restrict dgain, const float *restrict dy, size_t ldy,
                             const float *restrict x, size_t ldx, const float *restrict gain,
                             const float *restrict rrms, size_t R, size_t C) {
  memset(dgain, 0, C * sizeof(float));
  for (size_t i = 0; i < R; i++, dx += ldx, dy += ldy, x += ldx) {
    const float scale = rrms[i];
    vf dots = {0};
    size_t c = 0;
    for (; c + VW <= C; c += VW) {
      const vf dyx = vload(dy + c) * vload(x + c);
      dots += dyx * vload(gain + c);
      vstore(dgain + c, vload(dgain + c) + dyx * scale);
    }
    float dot = vsum(dots);
    for (; c < C; c++) {
      const float dyx = dy[c] * x[c];
      dot += dyx * gain[c];
      dgain[c] += dyx * scale;
    }
    const float back = dot * scale * scale * scale / (float)C;
    for (c = 0; c + VW <= C; c += VW)
      vstore(dx + c, vload(dx + c) + (vload(dy + c) * vload(gain + c) * scale - vload(x + c) * back));
    for (; c < C; c++) dx[c] += dy[c] * gain[c] * scale - x[c] * back;
  }
}

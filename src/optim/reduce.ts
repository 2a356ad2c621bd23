// The sum of the micro-batches' gradients, and its norm: the JavaScript form, to the bit what native/kernels/exact.c computes.

/** Floats whose squares are summed together. Fixed, so that the norm doesn't depend on how many workers share the work. */
export const NORM_BLOCK = 4096;
const LANES = 8;

/**
 * Sums `slots` gradients, `stride` floats apart, over [begin, end) into the first one, in a fixed binary tree over the slots:
 * (0+1)+(2+3), ... squares[i] = sum of squares of the i-th block of NORM_BLOCK floats; begin is a multiple of it.
 */
export function reduceGradients(
  grads: Float32Array,
  slots: number,
  stride: number,
  begin: number,
  end: number,
  squares: Float64Array,
): void {
  for (let first = begin; first < end; first += NORM_BLOCK) {
    const last = Math.min(first + NORM_BLOCK, end);
    for (let step = 1; step < slots; step *= 2) {
      for (let slot = 0; slot + step < slots; slot += 2 * step) {
        const to = slot * stride;
        const from = (slot + step) * stride;
        for (let i = first; i < last; i++) grads[to + i] += grads[from + i];
      }
    }
    squares[first / NORM_BLOCK] = sumOfSquares(grads, first, last);
  }
}

/** Global L2 norm out of the blocks' sums of squares, added in their order. */
export function gradientNorm(squares: Float64Array): number {
  let sum = 0;
  for (const square of squares) sum += square;
  return Math.sqrt(sum);
}

/** Factor that brings a gradient of this norm down to at most `limit` (0: never clips), as PyTorch's clip_grad_norm_ does. */
export function clipFactor(norm: number, limit: number): number {
  return limit > 0 && norm > limit ? limit / (norm + 1e-6) : 1;
}

/** In f64 over LANES interleaved partial sums, as vector registers do. */
function sumOfSquares(values: Float32Array, begin: number, end: number): number {
  const lane = new Float64Array(LANES);
  for (let i = begin; i < end; i++) lane[(i - begin) % LANES] += values[i] * values[i];
  return lane[0] + lane[4] + (lane[2] + lane[6]) + (lane[1] + lane[5] + (lane[3] + lane[7]));
}

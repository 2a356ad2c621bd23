// Half-precision floats as bits: what other programs' weights may come in. Exact, every half is an f32 too.

/** bf16 is the upper half of an f32. */
export function bf16ToF32Bits(half: number): number {
  return half << 16;
}

/** IEEE 754 binary16 to the bits of the equal binary32. */
export function f16ToF32Bits(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13); // Infinity, NaN.
  if (exponent !== 0) return sign | ((exponent + 112) << 23) | (fraction << 13); // Bias 127 - 15 = 112.
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21; // Subnormal: the highest set bit becomes the implicit one.
  return sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13);
}

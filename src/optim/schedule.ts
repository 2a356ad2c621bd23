// The learning rate of each step.

export interface Schedule {
  readonly lr: number;
  readonly minLr: number;
  readonly warmupSteps: number;
  readonly maxSteps: number;
}

/**
 * Linear warm-up, then half a cosine from lr down to minLr: step (from 1) of warmupSteps gives lr * step / warmupSteps,
 * so the first step already learns; the last step of maxSteps gives minLr. A run shorter than the warm-up ends on the way up. Loshchilov & Hutter 2016, https://arxiv.org/abs/1608.03983
 */
export function learningRate(schedule: Schedule, step: number): number {
  const { lr, minLr, warmupSteps, maxSteps } = schedule;
  if (step <= warmupSteps) return (lr * step) / warmupSteps;
  const decaySteps = maxSteps - warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / decaySteps);
  return minLr + ((lr - minLr) * (1 + Math.cos(Math.PI * progress))) / 2;
}

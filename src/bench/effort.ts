// How long each part of a benchmark measures. Longer doesn't change what is measured, only how well noise is left out.

export interface Effort {
  /** Rounds for each peak, and how long one takes about. */
  readonly peakRounds: number;
  readonly peakRoundMs: number;
  /** Passes over the memory. */
  readonly memoryPasses: number;
  /** Milliseconds for each form of each kernel. */
  readonly kernelMs: number;
  /** Every number of workers has its turn in each round; all turns of all rounds together take about so long. */
  readonly stepRounds: number;
  readonly stepMs: number;
  /** Answers of each precision. */
  readonly answers: number;
  /** Processes started to see their first token. */
  readonly starts: number;
}

export const FULL: Effort = {
  peakRounds: 60,
  peakRoundMs: 4,
  memoryPasses: 8,
  kernelMs: 150,
  stepRounds: 4,
  stepMs: 16_000,
  answers: 8,
  starts: 3,
};

export const QUICK: Effort = {
  peakRounds: 25,
  peakRoundMs: 2,
  memoryPasses: 3,
  kernelMs: 12,
  stepRounds: 1,
  stepMs: 1200,
  answers: 1,
  starts: 1,
};
